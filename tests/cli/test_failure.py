"""How commands end that cannot do what they were asked."""

import pytest

from beamfast.cli.failure import PORT_IN_USE, fail


def test_the_reason_goes_to_stderr_and_the_code_to_whoever_asked(capsys):
    with pytest.raises(SystemExit) as ended:
        fail("the port is taken", PORT_IN_USE)
    assert ended.value.code == 3
    assert capsys.readouterr() == ("", "beamfast: the port is taken\n")

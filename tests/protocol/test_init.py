import subprocess
import sys

import pytest

import beamfast.protocol as protocol


@pytest.mark.parametrize("name", protocol.__all__)
def test_public_name_is_found_at_home(name):
    thing = getattr(protocol, name)
    assert name in dir(protocol)
    if isinstance(thing, type):
        assert thing.__name__ == name


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Nothing"):
        _ = protocol.Nothing


def test_importing_the_package_loads_no_driver():
    code = "import sys, beamfast.protocol; print(len(sys.modules))"
    code += "; assert 'beamfast.protocol.rfc6455' not in sys.modules"
    code += "; assert 'asyncio' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

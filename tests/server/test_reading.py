"""Reading a configuration in another process; tests of the worker have more."""

import pytest

from beamfast.errors import ConfigError
from beamfast.server.reading import read_config
from beamfast.server.written import Written


def test_a_configuration_is_read_elsewhere_with_what_the_command_line_says(tmp_path):
    file = tmp_path / "site.toml"
    file.write_text(f'port = 1\n[[host]]\nname = "a"\nroot = "{tmp_path}"\n')
    said = Written("command line", texts={"port": ["82"]}, places={"port": "--port"})
    config = read_config(file, said)
    assert config.port == 82
    assert config.file == file
    file.write_text("prt = 1")
    with pytest.raises(ConfigError, match=r"site\.toml: prt: .*\n.*--port") as refused:
        read_config(
            file,
            Written("x", texts={"port": ["no"]}, places={"port": "--port"}),
        )
    assert "'no' is not a port" in str(refused.value)

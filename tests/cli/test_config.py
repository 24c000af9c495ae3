"""``beamfast config``: effective values and where they come from."""

from click.testing import CliRunner

from beamfast.cli import main


def run(*arguments: str):
    return CliRunner().invoke(main, ["config", *arguments])


def test_each_value_is_printed_with_its_source(tmp_path, monkeypatch):
    file = tmp_path / "site.toml"
    file.write_text(f'workers = 3\n[[host]]\nname = "a"\nroot = "{tmp_path}"\n')
    monkeypatch.setenv("BEAMFAST_PORT", "81")
    result = run(str(file))
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert "port = 81 # BEAMFAST_PORT" in lines
    assert f"workers = 3 # {file}: workers" in lines
    assert "drain = 20.0 # default" in lines
    assert "drain" not in run(str(file), "--set").output


def test_mistakes_exit_with_2(tmp_path):
    file = tmp_path / "site.toml"
    file.write_text("prt = 1")
    result = run(str(file))
    assert result.exit_code == 2
    assert "did you mean port?" in result.output

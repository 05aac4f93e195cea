import subprocess
import sys
from pathlib import Path

import pytest

import embodied_ssl

ROOT = Path(__file__).parents[1]


def test_public_names_exist_and_are_few():
    for name in embodied_ssl.__all__:
        assert getattr(embodied_ssl, name) is not None
    assert len(embodied_ssl.__all__) <= 25
    assert set(embodied_ssl.__all__) == set(dir(embodied_ssl))


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'Confg'"):
        _ = embodied_ssl.Confg


def test_import_loads_no_torch():
    code = "import sys, embodied_ssl; embodied_ssl.Config(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_module_form_of_the_command():
    done = subprocess.run([sys.executable, "-m", "embodied_ssl", "--version"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"embodied-ssl {embodied_ssl.__version__}\n")

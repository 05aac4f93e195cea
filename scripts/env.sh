# Set-up shared by quickstart.sh and test.sh; sourced, not run. After `setup_venv [EXTRAS]` the environment in .venv
# holds the project and is first on PATH. PYTHON names the interpreter that makes it; pip's own settings are honoured.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="$root/.venv"

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 2
}

# Whether $1 is a Python that can make the environment; ends with one line that says what is missing.
check_python() {
    command -v "$1" >/dev/null || fail "no $1 found; install Python 3.11 or newer, or set PYTHON=/path/to/python"
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$1 is $("$1" -V 2>&1), needed is Python 3.11 or newer; set PYTHON=/path/to/python"
    "$1" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$1 cannot make virtual environments; run: apt-get install python3-venv"
}

# Whether .venv is whole, lies where it was made, and is of the Python that PYTHON asks for, if it asks.
venv_usable() {
    "$venv/bin/python" -c 'import pip' 2>/dev/null && grep -qF "$venv" "$venv/bin/activate" || return 1
    [ -z "${PYTHON:-}" ] || [ "$("$venv/bin/python" -V)" = "$("$PYTHON" -V 2>/dev/null)" ]
}

# Make or refresh .venv with the extras in $1 (for example "dev,tensorboard"); at once when nothing changed since. There
# is a stamp for each set of extras, so quickstart.sh and test.sh do not make each other install again.
setup_venv() {
    local extras="${1:-}" python="${PYTHON:-python3}" stamp
    local stamp_file="$venv/.installed"
    if ! venv_usable; then
        check_python "$python"
        rm -rf "$venv"
        "$python" -m venv "$venv" || fail "could not make $venv"
    fi
    export PATH="$venv/bin:$PATH" VIRTUAL_ENV="$venv"
    stamp="$(cat "$root/pyproject.toml" "$root/constraints.txt" | sha256sum)"
    if [ "$(cat "$stamp_file-$extras" 2>/dev/null)" != "$stamp" ]; then
        echo "Installing into $venv (the first time: some minutes, mostly downloads) ..."
        # Torch first and by its exact version: a CPU build that lies in the user's find-links then wins.
        pip_install "torch==$(sed -n 's/^torch==//p' "$root/constraints.txt")"
        pip_install -e "$root${extras:+[$extras]}"
        echo "$stamp" | tee "$stamp_file-" >"$stamp_file-$extras"
    fi
}

pip_install() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c "$root/constraints.txt" "$@" ||
        fail "pip could not install: $* (see above); check the network and pip's index settings, then run again"
}

#!/usr/bin/env bash
# What `make setup` runs: `setup.sh venv PYTHON FOLDER` makes the virtual environment, `setup.sh icarus` installs
# Icarus Verilog, `setup.sh compiler` a C++ compiler, `setup.sh silicon` Yosys and OpenSTA. Each ends with one line that says what to do when it cannot.
set -euo pipefail

refuse() {
    echo "setup: error: $*" >&2
    exit 1
}

# Install Debian packages, as root or through sudo; fails when neither is there.
install_packages() {
    local run=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || return 1
        run=(sudo)
        [ -t 0 ] || run=(sudo -n)
    fi
    command -v apt-get >/dev/null || return 1
    # Package lists may be missing or old: refresh them before a second try.
    "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" 2>/dev/null ||
        { "${run[@]}" apt-get update -q && "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"; }
}

make_venv() {
    local python=$1 folder=$2
    command -v "$python" >/dev/null || refuse "$python not found: install Python 3.11 or newer, or set PYTHON=..."
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        refuse "$("$python" --version) is too old: Hecaton needs Python 3.11 or newer; set PYTHON=python3.11"
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        install_packages python3-venv && "$python" -c 'import ensurepip, venv' 2>/dev/null ||
            refuse "$python has no venv module: apt-get install python3-venv"
    fi
    [ -x "$folder/bin/pip" ] || "$python" -m venv --clear "$folder"
    echo "setup: installing Python packages into $folder"
    "$folder/bin/pip" install -qq --disable-pip-version-check -e '.[dev]' ||
        refuse "pip could not install the dependencies; its own words stand above"
    # cocotb runs Python inside the simulator, from the shared library that some systems keep in a package of its own.
    local library='import find_libpython, sys; sys.exit(find_libpython.find_libpython() is None)'
    if ! "$folder/bin/python" -c "$library"; then
        local package
        package=$("$python" -c 'import sys; print("libpython%d.%d" % sys.version_info[:2])')
        install_packages "$package" && "$folder/bin/python" -c "$library" ||
            refuse "$python has no shared library, which co-simulation needs: apt-get install $package"
    fi
}

install_icarus() {
    echo "setup: installing Icarus Verilog"
    install_packages iverilog && command -v iverilog >/dev/null ||
        refuse "Icarus Verilog is missing and apt-get could not install it (it needs root or sudo): apt-get install iverilog"
}

install_compiler() {
    echo "setup: installing a C++ compiler"
    install_packages g++ && command -v g++ >/dev/null ||
        refuse "g++ is missing and apt-get could not install it (it needs root or sudo): apt-get install g++"
}

install_silicon() {
    echo "setup: installing Yosys and OpenSTA"
    install_packages yosys opensta && command -v yosys >/dev/null && command -v sta >/dev/null ||
        refuse "Yosys or OpenSTA is missing and apt-get could not install it (it needs root or sudo): apt-get install yosys opensta"
}

case "${1:-}" in
    venv) make_venv "${2:?python}" "${3:?folder}" ;;
    icarus) install_icarus ;;
    compiler) install_compiler ;;
    silicon) install_silicon ;;
    *) refuse "usage: setup.sh venv PYTHON FOLDER | setup.sh icarus | setup.sh compiler | setup.sh silicon" ;;
esac

# Programs of others that the tests talk to, each from PyPI into an environment of its own.

# Where the tools are kept between runs.
cache_dir() {
    if [ -n "${XDG_CACHE_HOME:-}" ]; then
        echo "$XDG_CACHE_HOME/rotunda"
    elif [ -w "${HOME:-/nonexistent}" ]; then
        echo "$HOME/.cache/rotunda"
    else
        echo "${TMPDIR:-/tmp}/rotunda-cache-$(id -u)"
    fi
}

# A Python that can make environments with pip in them.
need_python() {
    if python3 -c 'import ensurepip, venv' >/dev/null 2>&1; then
        return
    fi
    if is_root && command -v apt-get >/dev/null; then
        say "Installing python3 and python3-venv ..."
        apt-get install -y -q python3 python3-venv >&2 ||
            { apt-get update -q >&2 && apt-get install -y -q python3 python3-venv >&2; } ||
            fail "apt-get could not install python3 and python3-venv; the tests need them."
    else
        fail "The tests need Python 3 with venv and pip: install python3 and python3-venv."
    fi
}

# Puts a program into an environment of its own, if it is not there yet: need_tool <package> <version>
# <its program>. Sets TOOL to the program.
need_tool() {
    local home
    home=$(cache_dir)/$1-$2
    TOOL=$home/bin/$3
    # The environment is there when its program was installed into it.
    if [ -e "$home/complete" ] && "$home/bin/python" -c '' 2>/dev/null; then
        return
    fi
    need_python
    say "Installing $1 $2 into $home ..."
    rm -rf "$home"
    mkdir -p "$(dirname "$home")"
    python3 -m venv "$home"
    "$home/bin/pip" install -q --disable-pip-version-check "$1==$2" >&2 ||
        fail "pip could not install $1 $2; the tests need it."
    touch "$home/complete"
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

end_peer() {
    kill "$PEER" 2>/dev/null || true
    wait "$PEER" 2>/dev/null || true
    rm -rf "$WORK"
}

# Starts a program that listens, until the script ends: start_peer <port> <command ...>. Its output goes
# into $WORK, a folder that goes away with it.
start_peer() {
    local port=$1
    shift
    "$@" >"$WORK/log" 2>&1 &
    PEER=$!
    trap end_peer EXIT
    for _ in $(seq 100); do
        python3 -c "import socket; socket.create_connection((\"127.0.0.1\", $port)).close()" 2>/dev/null && return
        kill -0 "$PEER" 2>/dev/null || break
        sleep 0.1
    done
    cat "$WORK/log" >&2
    fail "$1 did not start."
}

# The tests that need such a program, by a part of their names.
run_ignored() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --locked --test it --run-ignored only -E "test($1)"
    else
        cargo test --locked --test it "$1" -- --ignored
    fi
}

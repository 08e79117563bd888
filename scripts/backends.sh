#!/usr/bin/env bash
# Private PostgreSQL, MariaDB and Redis servers for the tests.
#
#   scripts/backends.sh up [NAME..]         start them (installs them first on Debian as root), print the addresses
#   scripts/backends.sh env                 print `export NAME=value` lines of the running servers, for `eval`
#   scripts/backends.sh down                stop what `up` started
#   scripts/backends.sh signal NAME SIGNAL  to one of them, and wait for its end unless it is only paused (STOP, CONT)
#   scripts/backends.sh start NAME          start it again, with its data, at the same address
#
# NAME is postgres, mariadb or redis; named ones are started whatever the environment says.
#
# Data, logs and pid files live in $GUILDHALL_TEST_BACKENDS_DIR (default .local/backends, or a folder in
# /var/tmp when the servers' account cannot reach the clone); ports are free ones on 127.0.0.1. A
# server whose URL is already in the environment is used as it is. PostgreSQL and MariaDB speak TLS
# with a certificate of a CA made here (GUILDHALL_TEST_CA_FILE). With GUILDHALL_TEST_BACKENDS_DURABLE set a commit is on the disk
# when it is answered, as in production; without it the tests are faster.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
dir=${GUILDHALL_TEST_BACKENDS_DIR:-}
if [ -z "$dir" ]; then
    dir=$root/.local/backends
    # As root the servers run under another account, which may not enter a clone below /root.
    if [ "$(id -u)" = 0 ] && ! setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$root"; then
        dir=/var/tmp/guildhall-backends-$(printf %s "$root" | cksum | cut -d' ' -f1)
    fi
fi
env_file=$dir/env
durable=${GUILDHALL_TEST_BACKENDS_DURABLE:-}
password=guildhall
names=()

say() { printf 'backends: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# The newest PostgreSQL server programs on this machine.
postgres_bin() {
    local candidate
    for candidate in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -Vr); do
        [ -x "$candidate/initdb" ] && [ -x "$candidate/postgres" ] && { echo "$candidate"; return; }
    done
    candidate=$(command -v initdb 2>/dev/null) && dirname "$(readlink -f "$candidate")"
}
mariadb_bin() { command -v mariadbd || command -v mysqld || { [ -x /usr/sbin/mariadbd ] && echo /usr/sbin/mariadbd; }; }

missing() {
    local list=()
    [ -n "${GUILDHALL_TEST_POSTGRES_URL:-}" ] || ! wanted postgres || [ -n "$(postgres_bin)" ] || list+=(postgresql)
    [ -n "${GUILDHALL_TEST_MYSQL_URL:-}" ] || ! wanted mariadb || [ -n "$(mariadb_bin)" ] || list+=(mariadb-server)
    [ -n "${GUILDHALL_TEST_REDIS_URL:-}" ] || ! wanted redis || command -v redis-server >/dev/null || list+=(redis-server)
    echo "${list[@]}"
}

install_missing() {
    local packages; packages=$(missing)
    [ -z "$packages" ] && return 0
    say "installing: $packages"
    # The packages' own system services must not start: their data and ports are not ours.
    local policy=/usr/sbin/policy-rc.d made=
    if [ ! -e $policy ]; then printf '#!/bin/sh\nexit 101\n' >$policy; chmod +x $policy; made=yes; fi
    local ok=yes
    # shellcheck disable=SC2086 # a list of words
    { apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages
    } </dev/null >"$dir/install.log" 2>&1 || ok=
    [ -z "$made" ] || rm -f $policy
    [ -n "$ok" ] || { tail -n 20 "$dir/install.log" >&2; die "could not install $packages (log: $dir/install.log)"; }
}

# Servers refuse to run as root, so as root they run as this unprivileged account.
unprivileged() { [ "$(id -u)" = 0 ] && { id -u postgres >/dev/null 2>&1 && echo postgres || echo nobody; } || id -un; }
as_server() {
    if [ "$(id -u)" != 0 ]; then "$@"; else setpriv --reuid="$account" --regid="$(id -g "$account")" --clear-groups "$@"; fi
}

certificates() {
    [ -f "$dir/tls/server.key" ] && return 0
    mkdir -p "$dir/tls"
    (
        cd "$dir/tls"
        openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 3650 -subj '/CN=Guildhall test CA' \
            -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign'
        openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj '/CN=localhost'
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 3650 -extfile <(
            printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n')
    ) >"$dir/tls.log" 2>&1 || { cat "$dir/tls.log" >&2; die "openssl could not make the certificates"; }
    chmod 600 "$dir/tls/server.key"
}

# wait_for NAME LOG COMMAND..: until the command succeeds, at most 60 s.
wait_for() {
    local name=$1 log=$2; shift 2
    for _ in $(seq 600); do "$@" >/dev/null 2>&1 && return 0; sleep 0.1; done
    tail -n 20 "$log" >&2; die "$name did not come up (log: $log)"
}

start() { # start NAME COMMAND..: detached, output to its log, pid and command to their files
    local name=$1; shift
    printf '%q ' "$@" >"$dir/$name.command"
    setsid "$@" </dev/null >"$dir/$name.log" 2>&1 &
    echo $! >"$dir/$name.pid"
}

runs() { kill -0 "$1" 2>/dev/null && ! grep -qs '^State:[[:space:]]*Z' "/proc/$1/status"; }
alive() { [ -f "$dir/$1.pid" ] && runs "$(cat "$dir/$1.pid")"; }

ready() { # ready NAME: waits until it answers
    local name=$1
    case $name in
        # The program itself tells when it listens, but only libpq's tool when it also answers.
        postgres) wait_for PostgreSQL "$dir/postgres.log" "$(postgres_bin)/pg_isready" -q -h 127.0.0.1 -p "$(sed -n 's/^port = //p' "$dir/postgres/postgresql.conf")" ;;
        mariadb) wait_for MariaDB "$dir/mariadb.log" grep -q 'ready for connections' "$dir/mariadb.log" ;;
        redis) wait_for Redis "$dir/redis.log" grep -q 'Ready to accept connections' "$dir/redis.log" ;;
    esac
}

signal() {
    local name=$1 signal=$2 container pid
    if [ -s "$dir/$name.container" ]; then
        container=$(cat "$dir/$name.container")
        case $signal in
            STOP) docker pause "$container" ;;
            CONT) docker unpause "$container" ;;
            *) docker kill --signal "$signal" "$container" && docker wait "$container" ;;
        esac >/dev/null
        return
    fi
    alive "$name" || die "$name does not run here"
    pid=$(cat "$dir/$name.pid")
    case $signal in
        # A server that hangs or is killed does so with the processes it serves with.
        # shellcheck disable=SC2046 # a list of numbers
        STOP | CONT | KILL) kill "-$signal" "$pid" $(pgrep -P "$pid" || true) ;;
        *) kill "-$signal" "$pid" ;;
    esac
    case $signal in STOP | CONT) return ;; esac
    for _ in $(seq 300); do runs "$pid" || return 0; sleep 0.1; done
    die "$name did not end within 30 s of SIG$signal"
}

again() {
    local name=$1 command
    if [ -s "$dir/$name.container" ]; then docker start "$(cat "$dir/$name.container")" >/dev/null; return; fi
    ! alive "$name" || die "$name runs already"
    # Left behind by a server that was killed, and believed by the next one as long as nobody has reaped the dead process.
    rm -f "$dir/postgres/postmaster.pid"
    eval "command=($(cat "$dir/$name.command"))"
    start "$name" "${command[@]}"
    ready "$name"
}

up_postgres() {
    local bin port data=$dir/postgres; bin=$(postgres_bin); port=$(free_port)
    rm -rf "$data"; mkdir -p "$data"; install -m 600 "$dir/tls/server.key" "$dir/tls/postgres.key"
    [ "$(id -u)" != 0 ] || chown "$account" "$data" "$dir/tls/postgres.key"
    echo $password >"$dir/postgres.password"; chmod 644 "$dir/postgres.password"
    as_server "$bin/initdb" -D "$data" -U postgres --pwfile="$dir/postgres.password" -A scram-sha-256 -E UTF8 --locale=C --no-sync \
        >"$dir/postgres.log" 2>&1 || { cat "$dir/postgres.log" >&2; die "initdb failed"; }
    cat >>"$data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = ''
max_connections = 300
shared_buffers = 128MB
ssl = on
ssl_cert_file = '$dir/tls/server.pem'
ssl_key_file = '$dir/tls/postgres.key'
wal_level = minimal
max_wal_senders = 0
autovacuum_naptime = 20s
CONF
    # The tests kill our server, never this one: its durability would only cost time.
    [ -n "$durable" ] || printf '%s = off\n' fsync full_page_writes synchronous_commit >>"$data/postgresql.conf"
    # as_server is a function and setsid wants a program, hence the two spellings.
    if [ "$(id -u)" = 0 ]; then
        start postgres setpriv --reuid="$account" --regid="$(id -g "$account")" --clear-groups "$bin/postgres" -D "$data"
    else
        start postgres "$bin/postgres" -D "$data"
    fi
    ready postgres
    echo "export GUILDHALL_TEST_POSTGRES_URL=postgres://postgres:$password@127.0.0.1:$port/postgres" >>"$env_file"
}

up_mariadb() {
    local server port data=$dir/mariadb; server=$(mariadb_bin); port=$(free_port)
    rm -rf "$data"; mkdir -p "$data"; install -m 600 "$dir/tls/server.key" "$dir/tls/mariadb.key"
    [ "$(id -u)" != 0 ] || chown "$account" "$data" "$dir/tls/mariadb.key"
    local install; install=$(command -v mariadb-install-db || command -v mysql_install_db) || die "mariadb-install-db not found"
    "$install" --no-defaults --datadir="$data" --user="$account" --auth-root-authentication-method=normal --skip-test-db \
        >"$dir/mariadb.log" 2>&1 || { tail -n 20 "$dir/mariadb.log" >&2; die "mariadb-install-db failed"; }
    cat >"$dir/mariadb-init.sql" <<SQL
CREATE USER IF NOT EXISTS 'guildhall'@'%' IDENTIFIED BY '$password';
GRANT ALL PRIVILEGES ON *.* TO 'guildhall'@'%' WITH GRANT OPTION;
SQL
    local quick=(--innodb-flush-log-at-trx-commit=0 --innodb-flush-method=nosync --skip-innodb-doublewrite)
    [ -z "$durable" ] || quick=(--innodb-flush-log-at-trx-commit=1)
    start mariadb "$server" --no-defaults --user="$account" --datadir="$data" --bind-address=127.0.0.1 --port="$port" \
        --socket="$data/server.sock" --pid-file="$data/server.pid" --init-file="$dir/mariadb-init.sql" \
        --max-connections=1000 "${quick[@]}" --innodb-buffer-pool-size=256M --skip-name-resolve --skip-log-bin \
        --ssl-ca="$dir/tls/ca.pem" --ssl-cert="$dir/tls/server.pem" --ssl-key="$dir/tls/mariadb.key"
    ready mariadb
    echo "export GUILDHALL_TEST_MYSQL_URL=mysql://guildhall:$password@127.0.0.1:$port/mysql" >>"$env_file"
}

up_redis() {
    local port; port=$(free_port)
    start redis redis-server --bind 127.0.0.1 --port "$port" --save '' --appendonly no --dir "$dir" --daemonize no
    ready redis
    echo "export GUILDHALL_TEST_REDIS_URL=redis://127.0.0.1:$port" >>"$env_file"
}

# Without root and without the servers' programs: Docker, if it answers. No TLS then: the TLS tests need the CA file.
up_docker() {
    local name image args port inner url
    while read -r name image inner url args; do
        local variable; variable=${url%%=*}
        [ -z "${!variable:-}" ] && wanted "$name" || continue
        port=$(free_port)
        # shellcheck disable=SC2086 # a list of words
        docker run -d --name "guildhall-$name-$$" -p "127.0.0.1:$port:$inner" $args "$image" >"$dir/$name.container"
        echo "export ${url//PORT/$port}" >>"$env_file"
    done <<LIST
postgres postgres:16 5432 GUILDHALL_TEST_POSTGRES_URL=postgres://postgres:$password@127.0.0.1:PORT/postgres -e POSTGRES_PASSWORD=$password
mariadb mariadb:10.11 3306 GUILDHALL_TEST_MYSQL_URL=mysql://root:$password@127.0.0.1:PORT/mysql -e MARIADB_ROOT_PASSWORD=$password
redis redis:7 6379 GUILDHALL_TEST_REDIS_URL=redis://127.0.0.1:PORT
LIST
    say "waiting 20 s for the containers"; sleep 20
}

needs() {
    die "needs $(missing), and this is neither root on Debian nor a machine with Docker. Either
  - install them:  sudo apt-get install --no-install-recommends $(missing)
  - start Docker, or
  - name servers on which databases may be created and dropped:
      export GUILDHALL_TEST_POSTGRES_URL=postgres://USER:PASSWORD@HOST:5432/postgres
      export GUILDHALL_TEST_MYSQL_URL=mysql://USER:PASSWORD@HOST:3306/mysql
      export GUILDHALL_TEST_REDIS_URL=redis://HOST:6379"
}

# wanted NAME: whether `up` is to start it.
wanted() { [ ${#names[@]} = 0 ] || [[ " ${names[*]} " == *" $1 "* ]]; }

up() {
    mkdir -p "$dir"
    [ ${#names[@]} = 0 ] || unset GUILDHALL_TEST_POSTGRES_URL GUILDHALL_TEST_MYSQL_URL GUILDHALL_TEST_REDIS_URL GUILDHALL_TEST_CA_FILE
    if [ ${#names[@]} = 0 ] && [ -f "$env_file" ] && { alive postgres || [ -n "${GUILDHALL_TEST_POSTGRES_URL:-}" ]; } \
        && { alive mariadb || [ -n "${GUILDHALL_TEST_MYSQL_URL:-}" ]; }; then
        say "already running"; cat "$env_file"; return 0
    fi
    down
    : >"$env_file"
    account=$(unprivileged)
    if [ -n "$(missing)" ]; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then install_missing
        elif command -v docker >/dev/null && docker info >/dev/null 2>&1; then up_docker; cat "$env_file"; return 0
        else needs; fi
        account=$(unprivileged) # installing PostgreSQL makes its account
    fi
    # The servers' account must be able to reach the data below the clone.
    if [ "$(id -u)" = 0 ] && ! as_server test -x "$dir"; then
        die "the account '$account' cannot enter $dir; set GUILDHALL_TEST_BACKENDS_DIR to a folder it can reach"
    fi
    certificates
    # A half-started set is worse than none.
    trap 'down' ERR EXIT
    [ -n "${GUILDHALL_TEST_POSTGRES_URL:-}" ] || ! wanted postgres || up_postgres
    [ -n "${GUILDHALL_TEST_MYSQL_URL:-}" ] || ! wanted mariadb || up_mariadb
    [ -n "${GUILDHALL_TEST_REDIS_URL:-}" ] || ! wanted redis || up_redis
    [ -n "${GUILDHALL_TEST_CA_FILE:-}" ] || echo "export GUILDHALL_TEST_CA_FILE=$dir/tls/ca.pem" >>"$env_file"
    trap - ERR EXIT
    cat "$env_file"
}

down() {
    local name pid container
    for name in postgres mariadb redis; do
        if [ -f "$dir/$name.pid" ]; then
            pid=$(cat "$dir/$name.pid")
            # PostgreSQL takes INT as "fast": end the sessions, then stop.
            kill -INT "$pid" 2>/dev/null || true; [ $name = postgres ] || kill -TERM "$pid" 2>/dev/null || true
            for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
            kill -KILL "$pid" 2>/dev/null || true
            rm -f "$dir/$name.pid"
        fi
        if [ -s "$dir/$name.container" ]; then
            container=$(cat "$dir/$name.container"); docker rm -f "$container" >/dev/null 2>&1 || true
            rm -f "$dir/$name.container"
        fi
    done
    rm -rf "$dir/postgres" "$dir/mariadb" "$env_file"
}

case "${1:-}" in
    up) names=("${@:2}"); up ;;
    signal) signal "$2" "$3" ;;
    start) again "$2" ;;
    down) down ;;
    env) [ -f "$env_file" ] || die "not running: scripts/backends.sh up"; cat "$env_file" ;;
    *) sed -n '2,16p' "$0" | sed 's/^# \{0,1\}//'; exit 2 ;;
esac

#!/bin/sh
# Makes what the compose project keeps out of the repository: a certificate authority, certificates for the broker,
# the daemon and each publisher named, passwords and a token. Nothing that exists is made again.
#   sudo ./prepare.sh [PUBLISHER...]
set -eu
umask 077
cd "$(dirname "$0")"
daemon_uid=10001
broker_uid=1883
influxdb_uid=1000
days=825

mkdir -p secrets/ca secrets/broker secrets/influxdb secrets/gridwarden secrets/publishers register
chmod 0755 register

if [ ! -f secrets/ca/ca.key ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=GridWarden local CA" \
        -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" \
        -keyout secrets/ca/ca.key -out secrets/ca/ca.crt 2>/dev/null
fi

issue() { # directory, file name, common name, extended key usage, subject alternative names
    [ -f "$1/$2.key" ] && return
    extensions="basicConstraints=critical,CA:FALSE
extendedKeyUsage=$4"
    [ -z "$5" ] || extensions="$extensions
subjectAltName=$5"
    printf '%s\n' "$extensions" > secrets/extensions.cnf
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$3" \
        -keyout "$1/$2.key" -out secrets/request.csr 2>/dev/null
    openssl x509 -req -in secrets/request.csr -CA secrets/ca/ca.crt -CAkey secrets/ca/ca.key -CAcreateserial \
        -days "$days" -extfile secrets/extensions.cnf -out "$1/$2.crt" 2>/dev/null
    rm -f secrets/extensions.cnf secrets/request.csr
}

issue secrets/broker server mosquitto serverAuth "DNS:mosquitto,DNS:localhost,IP:127.0.0.1,DNS:$(hostname)"
issue secrets/influxdb influxdb influxdb serverAuth "DNS:influxdb,DNS:localhost,IP:127.0.0.1"
issue secrets/gridwarden gridwarden gridwarden clientAuth ""
for publisher in "$@"; do
    issue secrets/publishers "$publisher" "$publisher" clientAuth ""
done
for place in broker influxdb gridwarden publishers; do
    cp secrets/ca/ca.crt "secrets/$place/ca.crt"
done

for name in influxdb_password influxdb_token grafana_password; do
    [ -f "secrets/$name" ] || openssl rand -hex 24 > "secrets/$name"
done
cp secrets/influxdb_token secrets/gridwarden/influxdb_token

if [ "$(id -u)" -eq 0 ]; then
    chown -R "$daemon_uid:$daemon_uid" secrets/gridwarden
    chown -R "$broker_uid:$broker_uid" secrets/broker
    chown -R "$influxdb_uid:$influxdb_uid" secrets/influxdb
    # Docker hands single files on as they are, whatever the mode of their folder: the servers' own users read them.
    chmod 0444 secrets/influxdb_password secrets/influxdb_token secrets/grafana_password
else
    echo "Run it as root, so that the containers' users can read their keys." >&2
fi
[ -n "$(ls -A register)" ] || echo "Put the register (XLSX, or the CSV files of \`gridwarden register template\`) into $(pwd)/register."

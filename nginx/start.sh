#!/bin/sh
# Renders this room's configuration into $RUN_DIR/conf and becomes nginx. For the image; `make run` renders with deploy/nginx.py.
# Usage: start.sh     (the variables of templates/ in the environment; README.md explains them)
set -eu
cd "$(dirname "$0")"

: "${RUN_DIR:?names a directory for the rendered configuration, the pid and temporary files}"
# Not root, so nginx needs no `user`; deploy/nginx.py fills this where it runs as root.
export RUN_AS=""
# A file and the form around it, as deploy/nginx.py has it.
export MAX_DIRECT_BYTES=$((${MAX_UPLOAD_BYTES:?is the largest file} + 65536))

# Directives of a list: who may say in X-Forwarded-For who the client is. The uploader asks for the renders of /m/.
REAL_IP_FROM=""
for proxy in $(echo "${TRUSTED_PROXIES:-}" | tr , ' ') "${UPLOADER_SERVER%:*}"; do
    REAL_IP_FROM="${REAL_IP_FROM:+$REAL_IP_FROM }set_real_ip_from $proxy;"
done
export REAL_IP_FROM
# Empty: AWS's own.
: "${S3_ENDPOINT?names the S3 server; empty: that of AWS_REGION}"
export S3_ENDPOINT="${S3_ENDPOINT:-https://s3.${AWS_REGION:-us-east-1}.amazonaws.com}"
# Debian's.
export CA_BUNDLE="${CA_BUNDLE:-/etc/ssl/certs/ca-certificates.crt}"

# shellcheck disable=SC2016 # the names as written, not their values
used=$(grep -oh '\${[A-Z0-9_]*}' templates/*.template | sort -u)
for name in $(envsubst -v "$used"); do
    if ! printenv "$name" > /dev/null; then
        echo "start.sh: the variable $name is not set" >&2
        exit 1
    fi
done

# They stand between quotes in the configuration.
case "$UPLOAD_URL" in
    *[!A-Za-z0-9.:/_-]*) echo "start.sh: UPLOAD_URL holds a character that does not work here" >&2; exit 1 ;;
esac
case "$CACHE_CONTROL" in
    *[!A-Za-z0-9\ ,=_-]*) echo "start.sh: CACHE_CONTROL holds a character that no Cache-Control has" >&2; exit 1 ;;
esac

conf="$RUN_DIR/conf"
rm -rf "$conf"
mkdir -p "$conf/templates" "$EDGE_CACHE" "$TOMBSTONES"
cp -R nginx.conf conf.d snippets "$conf"
for template in templates/*.template; do
    # Only our names are replaced, in braces: nginx's own variables look like them.
    envsubst "$used" < "$template" > "$conf/${template%.template}"
done

./follow_names.sh $$
./count_answers.sh new
{ while sleep 5 && kill -0 $$; do ./count_answers.sh; done; } > /dev/null 2>&1 &
exec nginx -c "$conf/nginx.conf" -g 'daemon off;'

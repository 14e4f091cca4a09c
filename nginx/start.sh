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

# shellcheck disable=SC2016 # the names as written, not their values
used=$(grep -oh '\${[A-Z0-9_]*}' templates/*.template | sort -u)
for name in $(envsubst -v "$used"); do
    if ! printenv "$name" > /dev/null; then
        echo "start.sh: the variable $name is not set" >&2
        exit 1
    fi
done

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

#!/bin/sh
# Runs once, when the database server's data folder is new: a role and a database for each service, each owning only
# its own. The passwords are files, made by `make secrets`.
set -eu
for service in intake returns delivery_notify loyalty; do
    password="$(cat "${SECRETS:-/run/secrets}/${service}_database_password")"
    psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --set service="$service" --set password="$password" \
        --username "$POSTGRES_USER" --dbname "${POSTGRES_DB:-postgres}" <<'SQL'
CREATE ROLE :"service" LOGIN PASSWORD :'password';
CREATE DATABASE :"service" OWNER :"service";
REVOKE ALL ON DATABASE :"service" FROM PUBLIC;
SQL
done

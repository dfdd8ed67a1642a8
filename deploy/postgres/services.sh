#!/bin/sh
# Runs once, when the database server's data folder is new: a database for each service, and two roles, neither of which
# may connect to any other database: `<service>_owner` migrates it; `<service>`, which the service itself runs as, is
# given its rights by each migration (libs/common/postgres/db_grants.py). The passwords are files, made by `make secrets`.
set -eu
for service in intake returns delivery_notify loyalty partners; do
    password="$(cat "${SECRETS:-/run/secrets}/${service}_database_password")"
    owner_password="$(cat "${SECRETS:-/run/secrets}/${service}_owner_password")"
    psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --set service="$service" --set password="$password" \
        --set owner="${service}_owner" --set owner_password="$owner_password" \
        --username "$POSTGRES_USER" --dbname "${POSTGRES_DB:-postgres}" <<'SQL'
CREATE ROLE :"owner" LOGIN PASSWORD :'owner_password';
CREATE ROLE :"service" LOGIN PASSWORD :'password';
CREATE DATABASE :"service" OWNER :"owner";
REVOKE ALL ON DATABASE :"service" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"service" TO :"service";
SQL
done

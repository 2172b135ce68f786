#!/bin/sh
# Unpacks Keycloak's own distribution for the test beside this script: install.sh FOLDER, then KEYCLOAK_HOME=FOLDER/keycloak-VERSION for the test.
# Needs Maven (which has it from Maven Central) and Java 17 or newer. Nothing is installed outside FOLDER and Maven's own cache.
set -eu

version=${KEYCLOAK_VERSION:-26.7.3}
target=$(mkdir -p "${1:?Usage: install.sh FOLDER}" && cd "$1" && pwd)
# The version is named exactly; Maven checks the archive against the checksum that is published beside it.
mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
  "-Dartifact=org.keycloak:keycloak-quarkus-dist:$version:tar.gz" "-DoutputDirectory=$target"
tar -xzf "$target/keycloak-quarkus-dist-$version.tar.gz" -C "$target"
rm "$target/keycloak-quarkus-dist-$version.tar.gz"
java -version 2>&1 | head -n 1
echo "KEYCLOAK_HOME=$target/keycloak-$version"

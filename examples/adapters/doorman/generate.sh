#!/bin/sh
# Makes the Python modules and the base64 texts of doorman.yaml from the protos. Needs the package grpcio-tools.
set -eu
cd "$(dirname "$0")"
compile() { "${PYTHON:-python3}" -m grpc_tools.protoc --proto_path=protos "$@"; }
compile --python_out=generated model.proto values.proto visit.proto logentry.proto quota.proto doorman.proto
for set in visit doorman; do
    compile --include_imports --descriptor_set_out="/tmp/$set.$$" "$set.proto"
    printf '%s: %s\n' "$set" "$(base64 -w0 "/tmp/$set.$$")"
    rm "/tmp/$set.$$"
done

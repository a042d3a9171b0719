#!/bin/sh
# Starts Redis with one user, daveslist, whose password is in REDIS_PASSWORD. Everybody else may only ask whether it lives.
#
# The user may do what the processes do and no more: keys and channels with their prefix, and no command that changes the
# server, empties it or looks at others' keys. Redis's list of users has the password's hash only.
set -eu
umask 077
hash=$(printf %s "$REDIS_PASSWORD" | sha256sum | cut -d ' ' -f 1)
unset REDIS_PASSWORD
cat >users.acl <<END
user default on nopass resetkeys resetchannels -@all +ping
user daveslist on #$hash resetkeys resetchannels ~daveslist:* &daveslist:* -@all +@hash +@sortedset +@set +@string +@keyspace +@pubsub +@transaction +eval +evalsha +time +ping +echo +hello +select +client|setname +client|setinfo +client|id -@dangerous -pubsub
END
exec valkey-server --aclfile users.acl "$@"

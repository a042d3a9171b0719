#!/bin/sh
# Starts Redis with one user, daveslist, whose password is in REDIS_PASSWORD. Without the password, only PING is allowed.
#
# The user may do only what the processes do: use keys and channels with their prefix. It may not use commands that change
# or empty the server, or that look at other keys. Redis's list of users has only the hash of the password.
set -eu
umask 077
hash=$(printf %s "$REDIS_PASSWORD" | sha256sum | cut -d ' ' -f 1)
unset REDIS_PASSWORD
cat >users.acl <<END
user default on nopass resetkeys resetchannels -@all +ping
user daveslist on #$hash resetkeys resetchannels ~daveslist:* &daveslist:* -@all +@hash +@sortedset +@set +@string +@keyspace +@pubsub +@transaction +eval +evalsha +time +ping +echo +hello +select +client|setname +client|setinfo +client|id -@dangerous -pubsub
END
exec valkey-server --aclfile users.acl "$@"

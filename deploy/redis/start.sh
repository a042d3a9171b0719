#!/bin/sh
# Starts Redis with one user, daveslist, whose password is in the file REDIS_PASSWORD_FILE. Without the password, only PING is
# allowed.
#
# The user may do only what the processes do: use keys and channels with their prefix. It may not use commands that change
# or empty the server, or that look at other keys. Redis's list of users has only the hash of the password.
set -eu
umask 077
# This is an assignment of its own, so that `set -e` notices a file that cannot be read; it also drops the last newline.
password=$(cat "$REDIS_PASSWORD_FILE")
: "${password:?the file $REDIS_PASSWORD_FILE is empty}"
hash=$(printf %s "$password" | sha256sum | cut -d ' ' -f 1)
unset password
cat >users.acl <<END
user default on nopass resetkeys resetchannels -@all +ping
user daveslist on #$hash resetkeys resetchannels ~daveslist:* &daveslist:* -@all +@hash +@sortedset +@set +@string +@keyspace +@pubsub +@transaction +eval +evalsha +time +ping +echo +hello +select +client|setname +client|setinfo +client|id -@dangerous -pubsub +pubsub|numsub
END
exec valkey-server --aclfile users.acl "$@"

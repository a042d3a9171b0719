#!/bin/sh
# Starts Redis with one user, daveslist, whose password is in the file REDIS_PASSWORD_FILE. Without the password, only PING is
# allowed.
#
# The user may do only what the processes do: use keys and channels with their prefix. It may not use commands that change
# or empty the server, or that look at other keys. Redis's list of users has only the hash of the password.
#
# With REDIS_SENTINEL_PASSWORD_FILE, sentinels watch this server and others (compose.sentinel.yaml). It then has two more
# users with that password: one for replicas, and one for sentinels.
#
# With REDIS_CLUSTER_PASSWORD_FILE, it is a server of a cluster (compose.cluster.yaml). It then has two more users with that
# password: one for replicas, and one for cluster.sh.
set -eu
umask 077
here=$(dirname "$0")
. "$here/lib.sh"
# An assignment of its own, so that `set -e` notices a file that cannot be read.
hash=$(hash_in "$REDIS_PASSWORD_FILE")
of_a_cluster=' +pubsub|shardnumsub +cluster|shards +cluster|slots +cluster|nodes +command +readonly +asking'
cat >users.acl <<END
user default on nopass resetkeys resetchannels -@all +ping
user daveslist on #$hash resetkeys resetchannels ~daveslist:* &daveslist:* -@all +@hash +@sortedset +@set +@string +@keyspace +@pubsub +@transaction +eval +evalsha +time +ping +echo +hello +select +client|setname +client|setinfo +client|id -@dangerous -pubsub +pubsub|numsub${REDIS_CLUSTER_PASSWORD_FILE:+$of_a_cluster}
END
if [ -n "${REDIS_CLUSTER_PASSWORD_FILE:-}" ]; then
  # REDIS_ADDRESS is how processes call this server, name:port; REDIS_CLUSTER_ADDRESS is its address for the other servers.
  hash=$(hash_in "$REDIS_CLUSTER_PASSWORD_FILE")
  password=$(quoted_in "$REDIS_CLUSTER_PASSWORD_FILE")
  cat >>users.acl <<END
user replica on #$hash resetkeys resetchannels -@all +psync +replconf +ping
user cluster on #$hash resetkeys resetchannels -@all +cluster|myid +cluster|meet +cluster|nodes +cluster|info +cluster|addslotsrange +cluster|replicate
END
  # Redis stores nothing, so a replica without the latest keys is better than no master, and while some slots have no master the
  # others are of use.
  exec valkey-server "$@" - <<END
aclfile users.acl
masteruser replica
masterauth $password
cluster-enabled yes
cluster-config-file nodes.conf
cluster-node-timeout 2000
cluster-replica-validity-factor 0
cluster-require-full-coverage no
cluster-announce-ip $REDIS_CLUSTER_ADDRESS
cluster-announce-hostname ${REDIS_ADDRESS%:*}
cluster-preferred-endpoint-type hostname
END
fi
if [ -z "${REDIS_SENTINEL_PASSWORD_FILE:-}" ]; then
  exec valkey-server --aclfile users.acl "$@"
fi

# REDIS_ADDRESS is how the others call this server, name:port; REDIS_MASTER is the master at the very first start.
hash=$(hash_in "$REDIS_SENTINEL_PASSWORD_FILE")
password=$(quoted_in "$REDIS_SENTINEL_PASSWORD_FILE")
master=$(current_master)
cat >>users.acl <<END
user replica on #$hash resetkeys resetchannels -@all +psync +replconf +ping
user sentinel on #$hash resetkeys allchannels -@all +multi +exec +ping +info +role +slaveof +publish +subscribe +config|rewrite +client|setname +client|kill +script|kill
END
cat >server.conf <<END
aclfile users.acl
masteruser replica
masterauth $password
replica-announce-ip ${REDIS_ADDRESS%:*}
replica-announce-port ${REDIS_ADDRESS#*:}
END
if [ "$master" != "$REDIS_ADDRESS" ]; then
  echo "replicaof ${master%:*} ${master#*:}" >>server.conf
fi
exec valkey-server server.conf "$@"

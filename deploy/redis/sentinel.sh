#!/bin/sh
# Starts a sentinel that watches Redis (compose.sentinel.yaml). Without a password one may only ask it for the master. The
# sentinels log in to each other, and to the servers, as the user sentinel, whose password is in the file
# REDIS_SENTINEL_PASSWORD_FILE.
#
# REDIS_ADDRESS is how the others call this sentinel, name:port; REDIS_SENTINELS has all of them, and REDIS_SERVERS all servers
# that they watch; REDIS_MASTER is the master at the very first start. Two of the sentinels must agree before a replica becomes the master.
set -eu
umask 077
here=$(dirname "$0")
. "$here/lib.sh"
hash=$(hash_in "$REDIS_SENTINEL_PASSWORD_FILE")
password=$(quoted_in "$REDIS_SENTINEL_PASSWORD_FILE")
master=$(current_master)
cat >sentinel.conf <<END
port ${REDIS_ADDRESS#*:}
protected-mode no
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip ${REDIS_ADDRESS%:*}
sentinel announce-port ${REDIS_ADDRESS#*:}
sentinel monitor daveslist ${master%:*} ${master#*:} 2
sentinel auth-user daveslist sentinel
sentinel auth-pass daveslist $password
sentinel down-after-milliseconds daveslist 2000
sentinel failover-timeout daveslist 6000
sentinel sentinel-user sentinel
sentinel sentinel-pass $password
user default on nopass resetkeys resetchannels -@all +auth +hello +ping +sentinel|get-master-addr-by-name
user sentinel on #$hash resetkeys allchannels +@all
END
exec valkey-server sentinel.conf --sentinel "$@"

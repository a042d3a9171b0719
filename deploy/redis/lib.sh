# What the scripts of Redis and of its sentinels have in common. They read it with `.`.

# Prints the hash of the secret in a file.
hash_in() {
  # `set -e` notices a file that cannot be read; the assignment drops the last newline.
  secret=$(cat "$1")
  : "${secret:?the file $1 is empty}"
  printf %s "$secret" | sha256sum | cut -d ' ' -f 1
}

# Prints the secret in a file as the configuration of Redis has it.
quoted_in() {
  secret=$(cat "$1")
  printf '"%s"' "$(printf %s "$secret" | sed 's/[\\"]/\\&/g')"
}

# Prints the master, host:port: the one that a sentinel in REDIS_SENTINELS names. If none answers, because they all start, the
# servers in REDIS_SERVERS say it: the one that is the master, or else the one that a replica follows. At the very first start
# nobody answers, and it is REDIS_MASTER.
#
# What started first is not the master for ever: after a failover, a server that starts again follows the new one.
current_master() {
  for sentinel in $REDIS_SENTINELS; do
    named=$(timeout 2 valkey-cli -h "${sentinel%:*}" -p "${sentinel#*:}" --raw \
      sentinel get-master-addr-by-name daveslist 2>/dev/null) || continue
    case $named in
    *'
'*)
      printf '%s' "$named" | tr '\n' ':'
      return
      ;;
    esac
  done
  secret=$(quoted_in "$REDIS_SENTINEL_PASSWORD_FILE")
  followed=
  for server in $REDIS_SERVERS; do
    answer=$(printf 'AUTH sentinel %s\nROLE\n' "$secret" |
      timeout 2 valkey-cli -h "${server%:*}" -p "${server#*:}" --raw 2>/dev/null) || continue
    # The first word is the answer to AUTH. Of a master the next one is its role; of a replica, two more say whom it follows.
    set -- $answer
    case ${2:-} in
    master)
      printf %s "$server"
      return
      ;;
    slave) followed=$3:$4 ;;
    esac
  done
  printf %s "${followed:-$REDIS_MASTER}"
}

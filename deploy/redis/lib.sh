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

# Prints the master, host:port, that one of the sentinels in REDIS_SENTINELS names; REDIS_MASTER if none answers.
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
  printf %s "$REDIS_MASTER"
}

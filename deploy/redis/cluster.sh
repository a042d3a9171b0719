#!/bin/sh
# Makes one cluster of the servers in REDIS_SERVERS, and ends when every slot has a master (compose.cluster.yaml). The first
# half of the servers are the masters at the very first start, and each of the others becomes a replica. Whatever has been done
# already stays, so the script may run at any time.
#
# It logs in as the user cluster, whose password is in the file REDIS_CLUSTER_PASSWORD_FILE. REDIS_SERVERS has the address of each
# server, address:port.
set -eu
here=$(dirname "$0")
. "$here/lib.sh"
password=$(quoted_in "$REDIS_CLUSTER_PASSWORD_FILE")
# Each is a word.
set -- $REDIS_SERVERS
first=$1
masters=$(($# / 2))
slots=16384

# Prints what a server answers to a command. Fails if the server is away.
ask() {
  there=$1
  shift
  # The password comes over the standard input, because everybody can read the arguments of a process.
  answer=$(printf 'AUTH cluster %s\n%s\n' "$password" "$*" |
    timeout 5 valkey-cli -h "${there%:*}" -p "${there##*:}" 2>&1) || true
  case $answer in
  OK*) printf '%s\n' "$answer" | sed 1d ;;
  *)
    echo "$there: $answer" >&2
    return 1
    ;;
  esac
}

# Waits for a minute at most until a command succeeds.
wait_until() {
  tries=300
  until "$@"; do
    tries=$((tries - 1))
    if [ "$tries" = 0 ]; then
      echo "not within a minute: $*" >&2
      exit 1
    fi
    sleep 0.2
  done
}

# Whether each server knows all of them. The first one meets those that it does not know; they tell each other.
all_met() {
  known=$(ask "$first" CLUSTER NODES) || return 1
  for server in $REDIS_SERVERS; do
    id=$(ask "$server" CLUSTER MYID) || return 1
    case $known in
    *"$id"*) ;;
    *) ask "$first" CLUSTER MEET "${server%:*}" "${server##*:}" >/dev/null || return 1 ;;
    esac
  done
  for server in $REDIS_SERVERS; do
    known=$(ask "$server" CLUSTER NODES) || return 1
    for id in $ids; do
      case $known in
      *"$id"*) ;;
      *) return 1 ;;
      esac
    done
  done
}

# Whether each server says this of the cluster.
all_say() {
  for server in $REDIS_SERVERS; do
    ask "$server" CLUSTER INFO | grep -q "^$1" || return 1
  done
}

# Prints the first master that has slots and no replica.
master_without_replica() {
  ask "$first" CLUSTER NODES | awk '
    $3 ~ /master/ && NF > 8 { names[++count] = $1 }
    $3 ~ /slave/ && $3 !~ /fail/ { followed[$4] = 1 }
    END { for (number = 1; number <= count; number++) if (!(names[number] in followed)) { print names[number]; exit } }'
}

# Whether the first server knows that this server is a replica.
is_replica() {
  ask "$first" CLUSTER NODES | grep -q "^$1 .*slave"
}

ids=
for server; do
  id=$(ask "$server" CLUSTER MYID)
  ids="$ids $id"
done
wait_until all_met
number=0
for server; do
  [ "$number" -lt "$masters" ] || break
  # An error means that these slots have a master already.
  ask "$server" CLUSTER ADDSLOTSRANGE $((slots * number / masters)) $((slots * (number + 1) / masters - 1)) >/dev/null
  number=$((number + 1))
done
wait_until all_say "cluster_slots_assigned:$slots"
for server; do
  # A master without slots is new.
  ask "$server" CLUSTER NODES | grep -q 'myself,master.*connected.\{0,1\}$' || continue
  master=$(master_without_replica)
  [ -n "$master" ] || continue
  ask "$server" CLUSTER REPLICATE "$master" >/dev/null
  wait_until is_replica "$(ask "$server" CLUSTER MYID)"
done
wait_until all_say cluster_state:ok
echo "the cluster has $masters masters, and a replica of each"

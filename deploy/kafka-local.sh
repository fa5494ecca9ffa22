#!/bin/bash
# A real single-node Apache Kafka (KRaft) on loopback, for trying things out and for the tests.
#   deploy/kafka-local.sh start DIR [--port N] [--property KEY=VALUE]... [--until PID]
#   deploy/kafka-local.sh stop DIR [--kill]
#   deploy/kafka-local.sh status DIR
# start   runs a broker whose data, log and settings are in DIR, waits until it answers, and prints
#         its bootstrap address, 127.0.0.1:PORT, alone on stdout. On a DIR that was used before, data,
#         port and properties are those of last time, also after SIGKILL or a crash of the machine.
#   --port N      0 (default): the port of last time, else a free one
#   --property    any broker setting; those given before stay until they are given anew. The clients'
#                 listener is named CLIENT (listener.security.protocol.map, listener.name.client....)
#   --until PID   the broker is killed once process PID is gone: nothing is left by a killed test
# stop    ends it by its process id (SIGTERM, SIGKILL after 20 s; --kill: SIGKILL at once).
# status  prints the address and exits 0 while it runs, else 3.
# Java and Maven come from Debian packages (installed when absent, root only); Kafka's jars come from
# Maven's repository once and stay in ${XDG_CACHE_HOME:-~/.cache}/spillway: later starts are offline.
set -euo pipefail

version=4.4.0
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/spillway/kafka-$version"
ready_seconds_max=90
stop_seconds_max=20

fail() {
  printf 'kafka-local: %s\n' "$@" >&2
  exit 1
}
usage() {
  sed -n '3,5s/^# *//p' "${BASH_SOURCE[0]}" >&2
  exit 2
}

need_packages() {
  "$here/setup.sh" --kafka >&2 || fail "Java 17 and Maven are needed: see above."
}

java_major() { java -version 2>&1 | sed -nE '1s/.*"([0-9]+).*/\1/p'; }

need_java() {
  command -v java > /dev/null || need_packages
  local major
  major="$(java_major)"
  [[ "${major:-0}" -ge 17 ]] ||
    fail "Kafka $version needs Java 17 or newer, and \`java\` is version ${major:-unknown}." \
      "Install openjdk-17-jre-headless, or put a newer one first on PATH."
}

fetch_jars() {
  command -v mvn > /dev/null || need_packages
  local work log
  work="$(mktemp -d "$cache.XXXXXX")"
  log="$work/maven.log"
  cat > "$work/pom.xml" << POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>spillway</groupId><artifactId>kafka-local</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
      <version>$version</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
POM
  if ! mvn -B -q -f "$work/pom.xml" -DincludeScope=runtime -DoutputDirectory="$work/libs" \
    org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies > "$log" 2>&1; then
    tail -n 15 "$log" >&2
    rm -rf "$work"
    fail "Maven could not fetch Kafka $version (see above)." \
      "Is this machine online? The jars are needed once; they stay in $cache."
  fi
  rm -rf "$cache"
  mkdir "$cache"
  mv "$work/libs" "$cache/libs"
  touch "$cache/complete"
  rm -rf "$work"
}

need_jars() {
  [[ -f "$cache/complete" ]] && return
  mkdir -p "$(dirname "$cache")"
  exec 8> "$cache.lock"
  flock 8  # several starts at once fetch once
  [[ -f "$cache/complete" ]] || fetch_jars
  exec 8>&-
}

# What a log says went wrong; its end when it does not say.
complaint() { grep -E '^(Exception|Caused by)|Exception: ' "$1" >&2 || tail -n 15 "$1" >&2; }

# Of the broker in DIR, when it runs: the process is alive and runs with the settings of that DIR.
running_pid() {
  local pid
  pid="$(cat "$dir/kafka.pid" 2> /dev/null)" || return 1
  [[ -n "$pid" ]] && tr '\0' '\n' 2> /dev/null < "/proc/$pid/cmdline" |
    grep -qxF "$dir/server.properties" && printf '%s' "$pid"
}

saved() { sed -n "s/^$1=//p" "$dir/ports" 2> /dev/null || true; }

# Free now, and below the range that the system hands out for outgoing connections: nobody takes
# them while the broker is down.
free_ports() {
  python3 - "$1" << 'PYTHON'
import random, socket, sys
found = []
for port in random.sample(range(15000, 32000), 2000):
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            continue
    found.append(port)
    if len(found) == int(sys.argv[1]):
        break
print(*found)
PYTHON
}

choose_ports() {
  local client controller free
  client="$(saved client)" controller="$(saved controller)"
  read -r -a free < <(free_ports 2)
  [[ ${#free[@]} -eq 2 ]] || fail "no free port between 15000 and 32000."
  [[ "$port" -ne 0 ]] && client="$port"
  printf 'client=%s\ncontroller=%s\n' "${client:-${free[0]}}" "${controller:-${free[1]}}" > "$dir/ports"
}

# Those of last time, replaced by those given now.
merge_properties() {
  local property
  touch "$dir/properties"
  for property in "${properties[@]}"; do
    { awk -v key="${property%%=*}=" 'index($0, key) != 1' "$dir/properties"
      printf '%s\n' "$property"; } > "$dir/properties.new"
    mv "$dir/properties.new" "$dir/properties"
  done
}

write_settings() {
  cat > "$dir/server.properties" << SETTINGS
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$(saved controller)
listeners=CLIENT://127.0.0.1:$(saved client),CONTROLLER://127.0.0.1:$(saved controller)
listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENT
controller.listener.names=CONTROLLER
log.dirs=$dir/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=16777216
SETTINGS
  # The later of two lines with one key counts.
  cat "$dir/properties" >> "$dir/server.properties"
}

kafka() {
  local main="$1"
  shift
  # Quick to start rather than to run, unless Kafka's own variables say otherwise.
  # shellcheck disable=SC2086
  exec java ${KAFKA_HEAP_OPTS:--Xmx512m} \
    ${KAFKA_JVM_PERFORMANCE_OPTS:--XX:TieredStopAtLevel=1 -XX:+UseSerialGC} \
    -Dorg.slf4j.simpleLogger.showDateTime=true \
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS" \
    -cp "$cache/libs/*" "$main" "$@"
}

format_once() {
  [[ -f "$dir/data/meta.properties" ]] && return
  local id
  id="$(python3 -c 'import base64, uuid
print(base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))')"
  # An id that begins with a dash would be read as an option.
  (kafka kafka.tools.StorageTool format "--cluster-id=$id" -c "$dir/server.properties") \
    > "$dir/format.log" 2>&1 ||
    { complaint "$dir/format.log"; fail "the data folder could not be set up (see above)."; }
}

answers() { (exec 3<> "/dev/tcp/127.0.0.1/$(saved client)") 2> /dev/null; }

# 0: ready; 1: ended before it was.
wait_ready() {
  local pid="$1" deadline=$((SECONDS + ready_seconds_max))
  until grep -qsF 'Kafka Server started' "$dir/kafka.log" && answers; do
    kill -0 "$pid" 2> /dev/null || return 1
    if [[ $SECONDS -ge $deadline ]]; then
      kill -KILL "$pid"
      tail -n 15 "$dir/kafka.log" >&2
      fail "the broker was not ready within $ready_seconds_max s; its log is $dir/kafka.log"
    fi
    sleep 0.1
  done
}

launch() {
  [[ -f "$dir/kafka.log" ]] && mv "$dir/kafka.log" "$dir/kafka.log.1"
  (
    exec 9>&- > "$dir/kafka.log" 2>&1 < /dev/null
    trap '' HUP
    cd "$dir"
    printf '%s\n' "$BASHPID" > "$dir/kafka.pid"
    kafka kafka.Kafka "$dir/server.properties"
  ) &
  wait_ready $!
}

end_with() {
  local pid="$1"
  (
    exec 9>&- > /dev/null 2>&1 < /dev/null
    while kill -0 "$until_pid" && [[ "$(running_pid)" == "$pid" ]]; do sleep 0.5; done
    [[ "$(running_pid)" == "$pid" ]] && kill -KILL "$pid"
  ) &
}

start() {
  local tries pid
  mkdir -p "$dir"
  dir="$(cd "$dir" && pwd)"
  [[ "$dir" == *[$' \t\\']* ]] && fail "the folder's path must hold no blanks: $dir"
  need_java
  need_jars
  exec 9> "$dir/lock"
  flock -n 9 || fail "another start of $dir is under way."
  if pid="$(running_pid)"; then
    printf '127.0.0.1:%s\n' "$(saved client)"
    return
  fi
  merge_properties
  for tries in 1 2 3; do
    choose_ports
    write_settings
    format_once
    if launch; then
      pid="$(running_pid)" || fail "the broker ended at once; its log is $dir/kafka.log"
      [[ -n "$until_pid" ]] && end_with "$pid"
      printf '127.0.0.1:%s\n' "$(saved client)"
      return
    fi
    # Somebody else took a port since it was found free: a fresh broker can use another.
    grep -qF 'Address already in use' "$dir/kafka.log" || break
    [[ "$port" -eq 0 && -z "$known_port" ]] ||
      fail "port $(saved client) is in use. Name another with --port, or stop what uses it."
    rm -f "$dir/ports"
  done
  complaint "$dir/kafka.log"
  fail "the broker did not start (see above); its log is $dir/kafka.log"
}

stop() {
  local pid deadline=$((SECONDS + stop_seconds_max)) signal=TERM
  pid="$(running_pid)" || { rm -f "$dir/kafka.pid"; return 0; }
  [[ -n "$kill_at_once" ]] && signal=KILL
  kill -CONT "$pid" 2> /dev/null || true  # a stopped process would not see the other signal
  kill "-$signal" "$pid" 2> /dev/null || true
  while [[ "$(running_pid)" == "$pid" ]]; do
    [[ $SECONDS -lt $deadline ]] || kill -KILL "$pid" 2> /dev/null || true
    sleep 0.05
  done
  rm -f "$dir/kafka.pid"
}

[[ $# -ge 2 && "$2" != -* ]] || usage
command="$1" dir="$2"
shift 2
port=0 until_pid="" kill_at_once="" properties=()
while [[ $# -gt 0 ]]; do
  case "$command $1" in
    "start --port") [[ "${2:-}" =~ ^[0-9]+$ ]] || usage; port="$2"; shift 2 ;;
    "start --property") [[ "${2:-}" == ?*=* ]] || usage; properties+=("$2"); shift 2 ;;
    "start --until") [[ "${2:-}" =~ ^[0-9]+$ ]] || usage; until_pid="$2"; shift 2 ;;
    "stop --kill") kill_at_once=yes; shift ;;
    *) usage ;;
  esac
done
if [[ "$command" != start ]]; then
  [[ -d "$dir" ]] || fail "there is no folder $dir."
  dir="$(cd "$dir" && pwd)"
fi
known_port="$(saved client)"
case "$command" in
  start) start ;;
  stop) stop ;;
  status)
    running_pid > /dev/null || { echo "not running" >&2; exit 3; }
    printf '127.0.0.1:%s\n' "$(saved client)"
    ;;
  *) usage ;;
esac

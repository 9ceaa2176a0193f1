# Sourced by run.sh and test.sh, with $root set: checks the machine, installs native parts, builds. POSIX sh, so that it can refuse on any system.

export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_GENERATE_ASPNET_CERTIFICATE=false
[ -n "${HOME:-}" ] && [ -w "${HOME:-}" ] || export DOTNET_CLI_HOME="$root/artifacts" npm_config_cache="$root/artifacts/npm"

say() { printf '%s\n' "$*" >&2; }
refuse() { say "$*"; exit 1; }

check_machine() {
  system=$(uname -s) machine=$(uname -m)
  [ "$system" = Linux ] && [ "$machine" = x86_64 ] ||
    refuse "This needs Linux on x86-64: the native libraries are built for it. This is $system on $machine. A Linux container or virtual machine (x86-64, glibc) does."
  libc=$(getconf GNU_LIBC_VERSION 2>/dev/null) ||
    refuse "This needs glibc: the native libraries are built against it, and this system has another C library (musl, as in Alpine?). Use Debian, Ubuntu, Fedora or the like."
  version=${libc#glibc } major=${version%%.*} minor=${version#*.} minor=${minor%%.*}
  [ "$major" -gt 2 ] || [ "$minor" -ge 28 ] || refuse "This needs glibc 2.28 or newer; this system has $version."
  command -v dotnet >/dev/null || refuse "This needs the .NET 10 SDK, and there is no dotnet on the PATH: https://dotnet.microsoft.com/download/dotnet/10.0"
}

# with_log TITLE COMMAND...: silent, unless it fails.
with_log() {
  title=$1; shift
  mkdir -p "$root/artifacts"
  log=$root/artifacts/prepare.log
  "$@" >"$log" 2>&1 </dev/null || { say "$title failed:"; tail -n 40 "$log" >&2; exit 1; }
}

# install_parts prod|all: from npm, when the lock file has changed or something lacks. "all" has what tests need.
install_parts() {
  marker=$root/node_modules/.installed wanted="$1 $(cksum <"$root/package-lock.json")" all="all ${wanted#* }"
  have=$(cat "$marker" 2>/dev/null || true)
  { [ "$have" != "$wanted" ] && [ "$have" != "$all" ]; } || return 0
  command -v node >/dev/null && command -v npm >/dev/null || refuse "This needs Node 20 or newer with npm, to install the native libraries: https://nodejs.org"
  node=$(node --version) node=${node#v} node=${node%%.*}
  [ "$node" -ge 20 ] || refuse "This needs Node 20 or newer; this is $(node --version)."
  (
    # The lock file's own lock: two commands started together install once.
    exec 9<"$root/package-lock.json"
    flock 9
    have=$(cat "$marker" 2>/dev/null || true)
    { [ "$have" != "$wanted" ] && [ "$have" != "$all" ]; } || exit 0
    say "Installing native libraries from npm ..."
    [ "$1" = all ] && set -- || set -- --omit=dev
    cd "$root"
    with_log "npm ci" npm ci --ignore-scripts "$@"
    for other in darwin win32 linux/arm64; do rm -rf "node_modules/onnxruntime-node/bin/napi-v6/$other"; done
    chmod -R a+rX node_modules
    printf '%s\n' "$wanted" >"$marker"
  ) || exit 1
}

# install_rabbitmq: Debian's broker, for the tests that start one of their own. Once a machine, and only where it is missing.
install_rabbitmq() {
  [ ! -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || return 0
  command -v apt-get >/dev/null || refuse "The tests need RabbitMQ 3.10 or newer, and this system has no apt-get to install it: install rabbitmq-server so that there is /usr/lib/rabbitmq/bin/rabbitmq-server, or run eng/test.sh --fast."
  as_root=''
  if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || refuse "The tests need RabbitMQ: run 'sudo apt-get install --no-install-recommends rabbitmq-server' once, or eng/test.sh --fast, which needs none."
    as_root='sudo -n'
  fi
  say "Installing rabbitmq-server ..."
  with_log "The installation of rabbitmq-server" apt_install_rabbitmq
}

apt_install_rabbitmq() (
  # Its service is not wanted: tests start their own. Where nobody decides about services, this says no while it is installed.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap '$as_root rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null && $as_root chmod 755 "$policy" || exit 1
  fi
  $as_root apt-get -q update && $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends rabbitmq-server
)

# sources FOLDER... EXPRESSION: what a build reads.
sources() {
  (cd "$root" && find Directory.Build.props Directory.Packages.props global.json "$@")
}

# when_changed NAME "FOLDER..." COMMAND...: builds when a file in the folders has come, gone or changed since the last time.
when_changed() {
  name=$1 folders=$2; shift 2
  stamp=$root/artifacts/$name.built
  # shellcheck disable=SC2086 # a list of folders
  files=$(sources $folders \( -name bin -o -name obj \) -prune -o -type f -print | LC_ALL=C sort | cksum)
  if [ "$files" = "$(cat "$stamp" 2>/dev/null)" ]; then
    # shellcheck disable=SC2086
    newer=$(sources $folders \( -name bin -o -name obj \) -prune -o -type f -newer "$stamp" -print | head -n 1)
    [ -n "$newer" ] || return 0
  fi
  case $(cd "$root" && dotnet --version 2>&1) in
    10.*) ;;
    *) refuse "This needs the .NET 10 SDK; $(command -v dotnet) has: $(dotnet --list-sdks | tr '\n' ' ')" ;;
  esac
  say "Building $name (Release) ..."
  mkdir -p "$root/artifacts"
  # Dated before the build: what is saved while it runs is built next time.
  printf '%s\n' "$files" >"$stamp.new"
  with_log "The build" "$@"
  mv "$stamp.new" "$stamp"
}

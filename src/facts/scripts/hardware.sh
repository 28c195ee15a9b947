# Processors, memory, and what kind of machine it is.
say() { [ -n "$2" ] && printf '%s=%s\n' "$1" "$2"; }
case $(uname -s) in
FreeBSD | DragonFly)
  say cpus "$(sysctl -n hw.ncpu)"
  say cpu "$(sysctl -n hw.model)"
  say memory "$(sysctl -n hw.physmem)"
  say vm_guest "$(sysctl -n kern.vm_guest)"
  say jailed "$(sysctl -n security.jail.jailed)"
  say vendor "$(kenv smbios.system.maker)"
  say product "$(kenv smbios.system.product)"
  exit 0
  ;;
Darwin)
  say cpus "$(sysctl -n hw.ncpu)"
  say cpu "$(sysctl -n machdep.cpu.brand_string)"
  say memory "$(sysctl -n hw.memsize)"
  say hv_guest "$(sysctl -n kern.hv_vmm_present)"
  say vendor Apple
  say product "$(sysctl -n hw.model)"
  exit 0
  ;;
esac
# Every processor has its paragraph in /proc/cpuinfo: it is counted here, not carried over.
n=$(getconf _NPROCESSORS_ONLN) || n=$(nproc) || n=$(grep -c '^processor' /proc/cpuinfo)
say cpus "$n"
say cpu "$(sed -n '/^model name/{s/^[^:]*:[[:blank:]]*//p;q;}' /proc/cpuinfo)"
[ -r /proc/cpuinfo ] && say hypervisor "$(sed -n '/^flags.*[[:blank:]]hypervisor/{s/.*/1/p;q;}' /proc/cpuinfo)"
have systemd-detect-virt && say detected "$(systemd-detect-virt)"
[ -e /.dockerenv ] && say container docker
[ -e /run/.containerenv ] && say container podman
[ -r /run/systemd/container ] && say container "$(head -n 1 /run/systemd/container)"
[ -r /proc/1/cgroup ] && say cgroup "$(sed -n '/docker\|kubepods\|lxc\|containerd\|libpod\|garden/{p;q;}' /proc/1/cgroup)"
[ -d /proc/vz ] && [ ! -d /proc/bc ] && say container openvz
[ -r /sys/hypervisor/type ] && say sys_hypervisor "$(head -n 1 /sys/hypervisor/type)"
dmi=/sys/class/dmi/id
[ -r "$dmi/sys_vendor" ] && say vendor "$(head -n 1 "$dmi/sys_vendor")"
[ -r "$dmi/product_name" ] && say product "$(head -n 1 "$dmi/product_name")"
[ -r /proc/device-tree/model ] && say product "$(tr -d '\000' </proc/device-tree/model)"
exit 0

SUMMARY = "Detection of suspicious processes, without a heap"
LICENSE = "Apache-2.0 OR MIT"
LIC_FILES_CHKSUM = "\
    file://LICENSE-APACHE;md5=22a53954e4e0ec258dfce4391e905dac \
    file://LICENSE-MIT;md5=de1d89da6156538409ff891cd79dc7fd \
"

require peewit-crates.inc

inherit cargo externalsrc systemd update-rc.d

EXTERNALSRC = "${PEEWIT_SOURCE}"
DEPENDS += "lld-native"

# A static binary, linked with musl: TCLIBC = "musl".
COMPATIBLE_HOST = "(x86_64|aarch64|arm).*-linux-musl.*"

# Linked by lld alone: the class has the C compiler link. As everywhere else, so that the flags are the same.
do_compile() {
	unset RUSTFLAGS
	MUSL="${STAGING_LIBDIR}" LINKER=ld.lld CARGO_TARGET_DIR="${B}/target" CARGO_NET_OFFLINE=true \
		"${S}/targets/build" "${RUST_HOST_SYS}"
}

do_install() {
	install -Dm0755 "${B}/target/${RUST_HOST_SYS}/release/peewit" "${D}${sbindir}/peewit"
	install -Dm0644 "${S}/targets/packages/init/peewit.default" "${D}${sysconfdir}/default/peewit"
	install -Dm0644 "${S}/targets/packages/init/peewit.conf" "${D}${sysconfdir}/peewit/peewit.conf"
	install -Dm0644 "${S}/targets/packages/init/peewit.8" "${D}${mandir}/man8/peewit.8"
	if ${@bb.utils.contains('DISTRO_FEATURES', 'systemd', 'true', 'false', d)}; then
		install -Dm0644 "${S}/targets/packages/init/peewit.service" "${D}${systemd_system_unitdir}/peewit.service"
	else
		install -Dm0755 "${S}/targets/packages/init/peewit.init" "${D}${sysconfdir}/init.d/peewit"
	fi
}

# It is stripped, and a static binary.
INSANE_SKIP:${PN} += "already-stripped"

SYSTEMD_SERVICE:${PN} = "peewit.service"
INITSCRIPT_NAME = "peewit"
INITSCRIPT_PARAMS = "start 04 S . stop 98 0 6 1 ."

CONFFILES:${PN} = "${sysconfdir}/default/peewit ${sysconfdir}/peewit/peewit.conf"

################################################################################
#
# peewit
#
################################################################################

PEEWIT_VERSION = 0.1.0
# The checkout that this external tree is part of.
PEEWIT_SITE = $(BR2_EXTERNAL_PEEWIT_PATH)/../../..
PEEWIT_SITE_METHOD = local
PEEWIT_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = --exclude /target
PEEWIT_LICENSE = Apache-2.0 or MIT
PEEWIT_LICENSE_FILES = LICENSE-APACHE LICENSE-MIT NOTICE
PEEWIT_DEPENDENCIES = host-rustc

# Not cargo-package: its linker is the C compiler's, and the sensor is linked
# without one.
define PEEWIT_BUILD_CMDS
	cd $(@D) && $(TARGET_MAKE_ENV) $(PKG_COMMON_CARGO_ENV) \
		MUSL=$(STAGING_DIR)/usr/lib targets/build $(RUSTC_TARGET_NAME)
endef

define PEEWIT_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 0755 $(@D)/target/$(RUSTC_TARGET_NAME)/release/peewit \
		$(TARGET_DIR)/usr/sbin/peewit
	$(INSTALL) -D -m 0644 $(@D)/targets/packages/init/peewit.default \
		$(TARGET_DIR)/etc/default/peewit
	$(INSTALL) -D -m 0644 $(@D)/targets/packages/init/peewit.conf \
		$(TARGET_DIR)/etc/peewit/peewit.conf
endef

define PEEWIT_INSTALL_INIT_SYSV
	$(INSTALL) -D -m 0755 $(@D)/targets/packages/init/peewit.init \
		$(TARGET_DIR)/etc/init.d/S02peewit
endef

define PEEWIT_INSTALL_INIT_SYSTEMD
	$(INSTALL) -D -m 0644 $(@D)/targets/packages/init/peewit.service \
		$(TARGET_DIR)/usr/lib/systemd/system/peewit.service
endef

define PEEWIT_LINUX_CONFIG_FIXUPS
	$(call KCONFIG_ENABLE_OPT,CONFIG_CONNECTOR)
	$(call KCONFIG_ENABLE_OPT,CONFIG_PROC_EVENTS)
endef

$(eval $(generic-package))

include $(sort $(wildcard $(BR2_EXTERNAL_PEEWIT_PATH)/package/*/*.mk))

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * settings_read.h - puts the values of settings into struct options.
 *
 * Room: bridge. Each is a `read` of struct setting (settings.h), which says what they have in common. The table of
 * settings says which is for which.
 */
#ifndef VOP_BRIDGE_SETTINGS_READ_H
#define VOP_BRIDGE_SETTINGS_READ_H

#include "settings.h"

#define SETTING_READER(name) \
    int name(const struct setting *setting, const char *value, struct options *options, char ret_why[SETTING_WHY_SIZE])

/* Any of a kind: a bool, a number from low to high, decimal or octal, a text, a name of an interface, an absolute path
   or "none", which is "", and one of the words that the setting's argument has between bars, of an enum. */
SETTING_READER(settings_read_switch);
SETTING_READER(settings_read_number);
SETTING_READER(settings_read_octal);
SETTING_READER(settings_read_text);
SETTING_READER(settings_read_interface);
SETTING_READER(settings_read_directory);
SETTING_READER(settings_read_choice);

/* One in particular. */
SETTING_READER(settings_read_slots);
SETTING_READER(settings_read_slot_size);
SETTING_READER(settings_read_queues);
SETTING_READER(settings_read_peer_uid);
SETTING_READER(settings_read_tap_fd);
SETTING_READER(settings_read_address);
SETTING_READER(settings_read_route);
SETTING_READER(settings_read_altname);
SETTING_READER(settings_read_mac);
SETTING_READER(settings_read_offload);
SETTING_READER(settings_read_affinity);
SETTING_READER(settings_read_steer);
SETTING_READER(settings_read_control);
SETTING_READER(settings_read_control_uid);
SETTING_READER(settings_read_metrics);
SETTING_READER(settings_read_verbose);
SETTING_READER(settings_read_user);
SETTING_READER(settings_read_sandbox);

#endif

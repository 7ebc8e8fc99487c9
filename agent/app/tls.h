/*
 * Recognises the ClientHello of TLS and hands on one opaque message with the
 * server name (SNI).  Private to agent/app; keeps no state.
 */
#ifndef FP_AGENT_APP_TLS_H
#define FP_AGENT_APP_TLS_H

#include "agent/app/emit.h"

enum fp_app_verdict fp_tls_feed(struct fp_app_input *input);

#endif

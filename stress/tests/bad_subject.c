/* A subject that is built as a shared object, and bad: it crashes the process at its first loop, or, with
 * RIG_BAD_SUBJECT_STICKS, never comes back from turning one. */
#include <stdlib.h>
#include <unistd.h>

#include "harness/subjects/subject.h"

static char handle; /* what every handle points to */

static uint32_t capabilities(const char* library) {
  (void)library;
  return RIG_CAN_FAST_TRACK_OFF;
}

static rig_status loop_create(const rig_loop_config* config, rig_loop** loop, rig_error* error) {
  (void)config;
  (void)error;
#ifndef RIG_BAD_SUBJECT_STICKS
  abort();
#endif
  *loop = (rig_loop*)&handle;
  return RIG_OK;
}

static rig_status loop_turn(rig_loop* loop, uint64_t timeout_us, rig_error* error) {
  (void)loop;
  (void)timeout_us;
  (void)error;
  while (pause() != 0) {
  }
  return RIG_OK;
}

static void loop_wake(rig_loop* loop) {
  (void)loop;
}

static rig_status context_create(const rig_context_config* config, rig_context** context, rig_error* error) {
  (void)config;
  (void)error;
  *context = (rig_context*)&handle;
  return RIG_OK;
}

static rig_status listen_on(rig_loop* loop, rig_context* context, const char* host, uint16_t port,
                            const rig_socket_config* config, const rig_listener_callbacks* callbacks,
                            void* listener_user, rig_listener** listener, rig_error* error) {
  (void)loop, (void)context, (void)host, (void)port, (void)config, (void)callbacks, (void)listener_user, (void)error;
  *listener = (rig_listener*)&handle;
  return RIG_OK;
}

static uint16_t listener_port(rig_listener* listener) {
  (void)listener;
  return 1;
}

static rig_status connect_to(rig_loop* loop, rig_context* context, const char* host, uint16_t port,
                             const rig_socket_config* config, const rig_socket_callbacks* callbacks, void* user,
                             rig_socket** socket, rig_error* error) {
  (void)loop, (void)context, (void)host, (void)port, (void)config, (void)callbacks, (void)user, (void)error;
  *socket = (rig_socket*)&handle;
  return RIG_OK;
}

const rig_subject* rig_subject_entry(void) {
  static rig_subject table;
  table.abi = RIG_SUBJECT_ABI;
  table.size = sizeof(rig_subject);
  table.name = "bad";
  table.libraries = "null";
  table.pollers = RIG_POLLER_EPOLL;
  table.capabilities = capabilities;
  table.loop_create = loop_create;
  table.loop_turn = loop_turn;
  table.loop_wake = loop_wake;
  table.context_create = context_create;
  table.listen = listen_on;
  table.listener_port = listener_port;
  table.connect = connect_to;
  return &table;
}

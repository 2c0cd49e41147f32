#include "stress/tests/doctored_subject.h"

#include <cstddef>
#include <cstdio>
#include <new>
#include <string>
#include <string_view>
#include <thread>

#include "harness/engine/identities.h"
#include "harness/subjects/house.h"

namespace rig {
namespace {

Doctoring active = Doctoring::nothing;

rig_status told(rig_status status, rig_error* error) {
  if (active != Doctoring::misnames_lack || status != RIG_NO_MEMORY) {
    return status;
  }
  error->status = RIG_INTERNAL;
  return RIG_INTERNAL;
}

// The limits of a connection, in another unit than that of subject.h.
void rescale(rig_socket_config& config) {
  const std::uint64_t times = active == Doctoring::dawdles ? 10 : 1;
  const std::uint64_t parts = active == Doctoring::hurries ? 4 : 1;
  for (std::uint64_t* limit : {&config.connect_timeout_us, &config.handshake_timeout_us, &config.close_timeout_us}) {
    *limit = *limit * times / parts;
  }
}

rig_status loop_create(const rig_loop_config* config, rig_loop** loop, rig_error* error) {
  rig_loop_config other = *config;
  if (active == Doctoring::other_poller) {
    other.poller = RIG_POLLER_POLL;
  }
  if (active == Doctoring::other_fast_track) {
    other.fast_track = 1 - config->fast_track;
  }
  if (active == Doctoring::fast_track_hidden) {
    other.fast_track = 1;
  }
  return told(house_subject()->loop_create(&other, loop, error), error);
}

rig_status loop_turn(rig_loop* loop, std::uint64_t timeout_us, rig_error* error) {
  if (active == Doctoring::loops_deliver_nothing) {
    std::this_thread::yield();
    return RIG_OK;
  }
  return house_subject()->loop_turn(loop, timeout_us, error);
}

rig_status context_create(const rig_context_config* config, rig_context** context, rig_error* error) {
  rig_context_config other = *config;
  Credentials own;
  const bool server = config->server != 0;
  if (active == (server ? Doctoring::other_library_server : Doctoring::other_library_client)) {
    other.library = "mbedtls";
  }
  if (active == Doctoring::other_tls) {
    other.tls_min = other.tls_max = RIG_TLS_1_3;
  }
  if (active == Doctoring::certificates_for_psk) {
    own = credentials(Identity::server);
    other.psk_identity = nullptr;
    other.psk = nullptr;
    other.psk_bytes = 0;
    other.ca_pem = server ? nullptr : ca_pem().c_str();
    other.verify_peer = server ? 0 : 1;
    other.certificate_pem = server ? own.certificate_chain_pem.c_str() : nullptr;
    other.private_key_pem = server ? own.private_key_pem.c_str() : nullptr;
  }
  if (active == Doctoring::verification_off) {
    other.verify_peer = 0;
  }
  return house_subject()->context_create(&other, context, error);
}

rig_status connect(rig_loop* loop, rig_context* context, const char* host, std::uint16_t port,
                   const rig_socket_config* config, const rig_socket_callbacks* callbacks, void* user,
                   rig_socket** socket, rig_error* error) {
  rig_socket_config other = *config;
  rescale(other);
  if (active == Doctoring::other_nodelay_client) {
    other.nodelay = 1 - config->nodelay;
  }
  if (active == Doctoring::other_host) {
    other.host = "elsewhere.test";
  }
  return told(house_subject()->connect(loop, context, host, port, &other, callbacks, user, socket, error), error);
}

rig_send_result send(rig_socket* socket, std::uint64_t token, const std::uint8_t* bytes, std::size_t count,
                     std::uint32_t flags, rig_error* error) {
  if (active != Doctoring::notes_its_sends && active != Doctoring::forgets_its_sends) {
    const rig_send_result result = house_subject()->send(socket, token, bytes, count, flags, error);
    if (result == RIG_SEND_REFUSED) {
      told(error->status, error);
    }
    return result;
  }
  std::uint64_t* const note = new (std::nothrow) std::uint64_t(token);
  if (note == nullptr) {
    *error = {.status = RIG_NO_MEMORY, .number = 0, .detail = "no memory for a note"};
    return active == Doctoring::notes_its_sends ? RIG_SEND_REFUSED : RIG_SEND_PENDING;
  }
  const rig_send_result result = house_subject()->send(socket, *note, bytes, count, flags, error);
  delete note;
  return result;
}

rig_status listen(rig_loop* loop, rig_context* context, const char* host, std::uint16_t port,
                  const rig_socket_config* config, const rig_listener_callbacks* callbacks, void* listener_user,
                  rig_listener** listener, rig_error* error) {
  rig_socket_config other = *config;
  rescale(other);
  if (active == Doctoring::other_nodelay_server) {
    other.nodelay = 1 - config->nodelay;
  }
  if (active == Doctoring::listens_without_bound) {
    other.connections_max = 0;
  }
  return told(house_subject()->listen(loop, context, host, port, &other, callbacks, listener_user, listener, error),
              error);
}

void info(rig_socket* socket, rig_socket_info* told) {
  house_subject()->info(socket, told);
  if (active == Doctoring::fast_track_hidden) {
    told->fast_track = 0;
  }
  if (active == Doctoring::other_version_told) {
    std::snprintf(told->library_version, sizeof told->library_version, "Elsewhere 1.0");
  }
}

std::uint32_t capabilities(const char* library) {
  const std::uint32_t can = house_subject()->capabilities(library);
  switch (active) {
    case Doctoring::tls12_missing:
      return can & ~RIG_CAN_TLS12;
    case Doctoring::psk_missing:
      return can & ~RIG_CAN_PSK;
    case Doctoring::fast_track_always_on:
      return can & ~RIG_CAN_FAST_TRACK_OFF;
    case Doctoring::library_missing:
      return std::string_view(library) == "openssl" ? 0 : can;
    default:
      return can;
  }
}

}  // namespace

const rig_subject* make_doctored(Doctoring doctoring) {
  static rig_subject table;
  active = doctoring;
  table = *house_subject();
  table.pollers = doctoring == Doctoring::poller_missing ? RIG_POLLER_SELECT : table.pollers;
  table.capabilities = capabilities;
  table.loop_create = loop_create;
  table.loop_turn = loop_turn;
  table.context_create = context_create;
  table.connect = connect;
  table.listen = listen;
  table.send = send;
  table.info = info;
  return &table;
}

}  // namespace rig

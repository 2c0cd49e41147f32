// The table of subject.h. The handles of the C interface are the objects of this folder.
#include "harness/subjects/direct/direct.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "harness/subjects/abi.h"
#include "harness/subjects/arguments.h"
#include "harness/subjects/direct/listener.h"
#include "harness/subjects/direct/loop.h"
#include "harness/subjects/direct/session.h"
#include "harness/subjects/direct/socket.h"

namespace rig {
namespace direct {
namespace {

// SharedContext is what a rig_context of this subject is.
struct SharedContext {
  std::shared_ptr<const Context> context;
  const Library* library;
};

// The structs of subject.h are never defined here: other subjects give theirs the same names.
Loop& of(rig_loop* loop) {
  return *reinterpret_cast<Loop*>(loop);
}
SharedContext& of(rig_context* context) {
  return *reinterpret_cast<SharedContext*>(context);
}
Listener& of(rig_listener* listener) {
  return *reinterpret_cast<Listener*>(listener);
}
Socket& of(rig_socket* socket) {
  return *reinterpret_cast<Socket*>(socket);
}

rig_status out_of_memory(rig_error* error) {
  return to_abi(Error(Code::no_memory, "no memory"), error);
}

rig_status answer(const Status& status, rig_error* error) {
  return status.has_value() ? RIG_OK : to_abi(status.error(), error);
}

const Library* find_library(const char* asked) {
  const std::string_view name = asked != nullptr ? asked : "";
  for (const Library* library : libraries()) {
    if (name == library->name) {
      return library;
    }
  }
  return nullptr;
}

std::uint32_t capabilities(const char* library) {
  constexpr std::uint32_t of_the_layer = RIG_CAN_FAST_TRACK_OFF | RIG_CAN_SEND_FROM_ANY_THREAD |
                                         RIG_CAN_CLOSE_FROM_ANY_THREAD | RIG_CAN_ORDER_COMPLETIONS | RIG_CAN_PAUSE |
                                         RIG_CAN_HALF_CLOSE | RIG_CAN_TELL_TRUNCATION | RIG_CAN_LIMIT_QUEUE |
                                         RIG_CAN_CLOSE_OVER_INPUT;
  const Library* const found = find_library(library);
  return found != nullptr ? found->capabilities | of_the_layer : 0;
}

void library_version(const char* library, char* text, size_t text_bytes) {
  try {
    const Library* const found = find_library(library);
    std::snprintf(text, text_bytes, "%s", found != nullptr ? found->version().c_str() : "");
  } catch (const std::bad_alloc&) {
    std::snprintf(text, text_bytes, "%s", "");  // a claim about it fails
  }
}

rig_status loop_create(const rig_loop_config* config, rig_loop** loop, rig_error* error) {
  RIG_TRY_ABI(sound(config), error);
  RIG_TRY_ABI(there(loop, "loop"), error);
  if (config->poller != RIG_POLLER_POLL) {
    return to_abi(Error(Code::unsupported, "there is no poller but poll"), error);
  }
  try {
    auto made = Loop::make(config->fast_track != 0);
    if (!made.has_value()) {
      return to_abi(made.error(), error);
    }
    *loop = reinterpret_cast<rig_loop*>(made->release());
    return RIG_OK;
  } catch (const std::bad_alloc&) {
    return out_of_memory(error);
  }
}

rig_status loop_turn(rig_loop* loop, uint64_t timeout_us, rig_error* error) {
  RIG_TRY_ABI(there(loop, "loop"), error);
  try {
    return answer(of(loop).turn(static_cast<std::int64_t>(std::min<uint64_t>(timeout_us, never))), error);
  } catch (const std::bad_alloc&) {
    return out_of_memory(error);
  }
}

void loop_wake(rig_loop* loop) {
  of(loop).wake();
}

void loop_counts(rig_loop* loop, rig_loop_counts* counts) {
  *counts = of(loop).counts();
}

void loop_destroy(rig_loop* loop) {
  static_cast<void>(loop_turn(loop, 0, nullptr));  // a `closed` that is due comes in a turn
  delete &of(loop);
}

std::string text_of(const char* text) {
  return text != nullptr ? text : "";
}

rig_status context_create(const rig_context_config* config, rig_context** context, rig_error* error) {
  RIG_TRY_ABI(sound(config), error);
  RIG_TRY_ABI(there(context, "context"), error);
  try {
    const Library* const library = find_library(config->library);
    if (library == nullptr) {
      return to_abi(Error(Code::unsupported, "the library is not built in"), error);
    }
    Setup setup{.server = config->server != 0,
                .tls_min = config->tls_min,
                .tls_max = config->tls_max,
                .verify_peer = config->verify_peer != 0,
                .allow_renegotiation = config->allow_renegotiation != 0,
                .ca_pem = text_of(config->ca_pem),
                .certificate_pem = text_of(config->certificate_pem),
                .private_key_pem = text_of(config->private_key_pem),
                .psk_identity = text_of(config->psk_identity),
                .psk = {}};
    if (config->psk != nullptr) {
      setup.psk.assign(config->psk, config->psk + config->psk_bytes);
    }
    if (setup.verifies() && setup.ca_pem.empty()) {
      return to_abi(Error(Code::invalid_argument, "certificates are to be verified without trust anchors"), error);
    }
    auto made = library->make_context(setup);
    if (!made.has_value()) {
      return to_abi(made.error(), error);
    }
    *context = reinterpret_cast<rig_context*>(new SharedContext{std::move(*made), library});
    return RIG_OK;
  } catch (const std::bad_alloc&) {
    return out_of_memory(error);
  }
}

void context_destroy(rig_context* context) {
  delete &of(context);
}

rig_status listen(rig_loop* loop, rig_context* context, const char* host, uint16_t port,
                  const rig_socket_config* config, const rig_listener_callbacks* callbacks, void* listener_user,
                  rig_listener** listener, rig_error* error) {
  RIG_TRY_ABI(sound_beginning(loop, context, host, config, listener, "listener"), error);
  RIG_TRY_ABI(sound(callbacks), error);
  try {
    auto made = Listener::open(of(loop), host, port,
                               {.context = of(context).context,
                                .library = of(context).library,
                                .config = *config,
                                .callbacks = *callbacks,
                                .user = listener_user});
    if (!made.has_value()) {
      return to_abi(made.error(), error);
    }
    *listener = reinterpret_cast<rig_listener*>(made->get());
    of(loop).add(std::move(*made));
    return RIG_OK;
  } catch (const std::bad_alloc&) {
    return out_of_memory(error);
  }
}

uint16_t listener_port(rig_listener* listener) {
  return of(listener).port();
}

void listener_close(rig_listener* listener) {
  of(listener).close();
}

rig_status connect(rig_loop* loop, rig_context* context, const char* host, uint16_t port,
                   const rig_socket_config* config, const rig_socket_callbacks* callbacks, void* user,
                   rig_socket** socket, rig_error* error) {
  RIG_TRY_ABI(sound_beginning(loop, context, host, config, socket, "socket"), error);
  RIG_TRY_ABI(sound(callbacks), error);
  try {
    const Setup& setup = of(context).context->setup();
    const std::string name = text_of(config->host);
    if (setup.verifies() && name.empty()) {
      return to_abi(Error(Code::invalid_argument, "a client that verifies its peer needs a host"), error);
    }
    auto connecting = begin_connect(host, port);
    if (!connecting.has_value()) {
      return to_abi(connecting.error(), error);
    }
    auto session = of(context).context->make_session(connecting->descriptor.handle(), name);
    if (!session.has_value()) {
      return to_abi(session.error(), error);
    }
    Socket::Parts parts{.descriptor = std::move(connecting->descriptor),
                        .session = std::move(*session),
                        .library = of(context).library,
                        .server = false,
                        .place = nullptr,
                        .failure = connecting->failure};
    auto made = std::make_unique<Socket>(of(loop), std::move(parts), *config);
    made->adopt(*callbacks, user);
    *socket = reinterpret_cast<rig_socket*>(made.get());
    of(loop).add(std::move(made));
    return RIG_OK;
  } catch (const std::bad_alloc&) {
    return out_of_memory(error);
  }
}

void adopt(rig_socket* socket, const rig_socket_callbacks* callbacks, void* user) {
  of(socket).adopt(*callbacks, user);
}

rig_send_result send(rig_socket* socket, uint64_t token, const uint8_t* bytes, size_t count, uint32_t flags,
                     rig_error* error) {
  if (const Status sent = sound_send(bytes, count, flags); !sent.has_value()) {
    to_abi(sent.error(), error);
    return RIG_SEND_REFUSED;
  }
  return of(socket).send(token, {bytes, count}, error);
}

rig_status pause(rig_socket* socket, rig_error* error) {
  RIG_TRY_ABI(there(socket, "socket"), error);
  return answer(of(socket).set_paused(true), error);
}

rig_status resume(rig_socket* socket, rig_error* error) {
  RIG_TRY_ABI(there(socket, "socket"), error);
  return answer(of(socket).set_paused(false), error);
}

rig_status renegotiate(rig_socket* socket, rig_error* error) {
  RIG_TRY_ABI(there(socket, "socket"), error);
  return answer(of(socket).renegotiate(), error);
}

rig_status half_close(rig_socket* socket, rig_error* error) {
  RIG_TRY_ABI(there(socket, "socket"), error);
  return answer(of(socket).half_close(), error);
}

rig_status close(rig_socket* socket, rig_close_mode mode, rig_error* error) {
  RIG_TRY_ABI(there(socket, "socket"), error);
  of(socket).close(mode);
  return RIG_OK;
}

void destroy(rig_socket* socket) {
  of(socket).destroy();
}

void info(rig_socket* socket, rig_socket_info* info) {
  of(socket).info(*info);
  library_version(info->library, info->library_version, sizeof info->library_version);
}

rig_subject make_table(const char* names) {
  return {.abi = RIG_SUBJECT_ABI,
          .size = sizeof(rig_subject),
          .name = "direct",
          .libraries = names,
          .pollers = RIG_POLLER_POLL,
          .capabilities = capabilities,
          .library_version = library_version,
          .loop_create = loop_create,
          .loop_turn = loop_turn,
          .loop_wake = loop_wake,
          .loop_counts = loop_counts,
          .loop_destroy = loop_destroy,
          .context_create = context_create,
          .context_destroy = context_destroy,
          .listen = listen,
          .listener_port = listener_port,
          .listener_close = listener_close,
          .connect = connect,
          .adopt = adopt,
          .send = send,
          .pause = pause,
          .resume = resume,
          .renegotiate = renegotiate,
          .update_keys = nullptr,
          .half_close = half_close,
          .close = close,
          .destroy = destroy,
          .info = info};
}

}  // namespace
}  // namespace direct

const rig_subject* direct_subject() {
  static const std::string names = [] {
    std::string words;
    for (const direct::Library* library : direct::libraries()) {
      words += words.empty() ? "" : " ";
      words += library->name;
    }
    return words;
  }();
  static const rig_subject table = direct::make_table(names.c_str());
  return &table;
}

}  // namespace rig

#include "harness/subjects/arguments.h"

#include <utility>

namespace rig {
namespace {

std::unexpected<Error> wrong(const char* name, const char* what) {
  return std::unexpected(error_of(Code::invalid_argument, 0, "'%s' %s", name, what));
}

bool is_version(std::uint32_t version) {
  return version == RIG_TLS_NONE || version == RIG_TLS_1_2 || version == RIG_TLS_1_3;
}

// A version that is not known must not come to mean plain text.
Status sound_versions(const rig_context_config& config) {
  if (!is_version(config.tls_min) || !is_version(config.tls_max)) {
    return wrong(is_version(config.tls_min) ? "tls_max" : "tls_min", "is no version that there is");
  }
  if (config.tls_min > config.tls_max || (config.tls_min == RIG_TLS_NONE) != (config.tls_max == RIG_TLS_NONE)) {
    return wrong("tls_min", "and 'tls_max' are no range");
  }
  return {};
}

Status sound_key(const rig_context_config& config) {
  if ((config.certificate_pem == nullptr) != (config.private_key_pem == nullptr)) {
    return wrong("certificate_pem", "and 'private_key_pem' go together, and one is null");
  }
  const bool has_key = config.psk != nullptr && config.psk_bytes > 0;
  if (config.psk_identity != nullptr && !has_key) {
    return wrong("psk", "is empty, and there is a 'psk_identity'");
  }
  if (config.psk_identity == nullptr && has_key) {
    return wrong("psk_identity", "is null, and there is a 'psk'");
  }
  return {};
}

}  // namespace

Status there(const void* argument, std::string_view name) noexcept {
  if (argument == nullptr) {
    return std::unexpected(
        error_of(Code::invalid_argument, 0, "'%.*s' is null", static_cast<int>(name.size()), name.data()));
  }
  return {};
}

Status sound(const rig_loop_config* config) noexcept {
  RIG_TRY_STATUS(there(config, "config"));
  if (config->poller != RIG_POLLER_EPOLL && config->poller != RIG_POLLER_POLL && config->poller != RIG_POLLER_SELECT) {
    return wrong("poller", "is not one of the pollers that there are");
  }
  if (config->fast_track > 1) {
    return wrong("fast_track", "is neither 0 nor 1");
  }
  return {};
}

Status sound(const rig_context_config* config) noexcept {
  RIG_TRY_STATUS(there(config, "config"));
  RIG_TRY_STATUS(there(config->library, "library"));
  RIG_TRY_STATUS(sound_versions(*config));
  return sound_key(*config);
}

Status sound(const rig_socket_callbacks* callbacks) noexcept {
  RIG_TRY_STATUS(there(callbacks, "callbacks"));
  const std::pair<bool, const char*> members[] = {
      {callbacks->connected != nullptr, "connected"}, {callbacks->data != nullptr, "data"},
      {callbacks->ended != nullptr, "ended"},         {callbacks->sent != nullptr, "sent"},
      {callbacks->writable != nullptr, "writable"},   {callbacks->closed != nullptr, "closed"}};
  for (const auto& [set, name] : members) {
    if (!set) {
      return wrong(name, "is no callback, but null");
    }
  }
  return {};
}

Status sound(const rig_listener_callbacks* callbacks) noexcept {
  RIG_TRY_STATUS(there(callbacks, "callbacks"));
  if (callbacks->accepted == nullptr) {
    return wrong("accepted", "is no callback, but null");
  }
  return {};
}

Status sound_beginning(const rig_loop* loop, const rig_context* context, const char* host,
                       const rig_socket_config* config, const void* made, std::string_view made_name) noexcept {
  const std::pair<const void*, std::string_view> arguments[] = {
      {loop, "loop"}, {context, "context"}, {host, "host"}, {config, "config"}, {made, made_name}};
  for (const auto& [argument, name] : arguments) {
    RIG_TRY_STATUS(there(argument, name));
  }
  return {};
}

Status sound_send(const std::uint8_t* bytes, std::size_t count, std::uint32_t flags) noexcept {
  if (count != 0) {
    RIG_TRY_STATUS(there(bytes, "bytes"));
  }
  if ((flags & ~RIG_SEND_MORE) != 0) {
    return wrong("flags", "has a bit without a meaning");
  }
  return {};
}

}  // namespace rig

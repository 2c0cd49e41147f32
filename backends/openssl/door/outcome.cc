// What the door knows of OpenSSL, and what an observer may ask of it.
#include <cerrno>
#include <cstdint>
#include <cstdio>

#include "backends/openssl/door/behind.h"

namespace rig::openssl::door {

namespace {

std::uint64_t mixed(std::uint64_t hash, std::uint64_t word) noexcept {
  hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
  return hash ^ (hash >> 29);
}

bool bio_wants(const BIO* bio, int flag) noexcept {
  return bio != nullptr && (behind_BIO_test_flags(bio, flag) & flag) != 0;
}

// SSL_get_error would say SSL_ERROR_SSL for an entry that was there before the call; this is the rest of its rules.
DoorOutcome outcome_without_queue(const SSL* ssl) noexcept {
  const int want = behind_SSL_want(ssl);
  if (want == SSL_READING || want == SSL_WRITING) {
    const BIO* const bio = want == SSL_READING ? behind_SSL_get_rbio(ssl) : behind_SSL_get_wbio(ssl);
    if (bio_wants(bio, BIO_FLAGS_READ)) {
      return DoorOutcome::want_read;
    }
    if (bio_wants(bio, BIO_FLAGS_WRITE)) {
      return DoorOutcome::want_write;
    }
  } else if (want != SSL_NOTHING) {
    return DoorOutcome::other;
  }
  return (behind_SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) != 0 ? DoorOutcome::end : DoorOutcome::broken;
}

void describe(std::uint64_t number, char* sentence, std::size_t sentence_bytes) {
  behind_ERR_error_string_n(static_cast<unsigned long>(number), sentence, sentence_bytes);
}

void plant() {
  behind_ERR_new();
  behind_ERR_set_debug("planted by tlsrig", 1, "planted by tlsrig");
  behind_ERR_set_error(ERR_LIB_USER, 1, nullptr);
}

std::size_t pending(const void* session) {
  const int bytes = behind_SSL_pending(static_cast<const SSL*>(session));
  return bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

int descriptor(const void* session) {
  return behind_SSL_get_rfd(static_cast<const SSL*>(session));
}

int room_descriptor(const void* session) {
  return behind_SSL_get_wfd(static_cast<const SSL*>(session));
}

// Known to observers as soon as the door is in the process.
[[maybe_unused]] const bool registered = [] {
  behind_ERR_set_error.find(nullptr);
  register_library_door({.library = TlsLibrary::openssl,
                         .name = "OpenSSL",
                         .ambient_name = "error queue",
                         .latest = latest,
                         .describe = describe,
                         .plant = plant,
                         .clear = [] { behind_ERR_clear_error(); },
                         .pending = pending,
                         .descriptor = descriptor,
                         .room_descriptor = room_descriptor});
  return true;
}();

}  // namespace

DoorEntry latest() noexcept {
  const char* file = nullptr;
  const char* function = nullptr;
  const char* data = nullptr;
  int line = 0;
  int flags = 0;
  unsigned long number = 0;
  // OpenSSL 1.1 has no such function.
  if (behind_ERR_peek_last_error_all.find(nullptr) != nullptr) {
    number = behind_ERR_peek_last_error_all(&file, &line, &function, &data, &flags);
  } else if (behind_ERR_peek_last_error.find(nullptr) != nullptr) {
    number = behind_ERR_peek_last_error();
  }
  if (number == 0) {
    return {};
  }
  std::uint64_t identity = mixed(number, static_cast<std::uint64_t>(line));
  for (const char* const part : {file, function, data}) {
    identity = mixed(identity, reinterpret_cast<std::uintptr_t>(part));
  }
  return {.number = number, .identity = identity};
}

DoorOutcome answer_of(int ssl_error) noexcept {
  switch (ssl_error) {
    case SSL_ERROR_NONE:
      return DoorOutcome::done;
    case SSL_ERROR_WANT_READ:
      return DoorOutcome::want_read;
    case SSL_ERROR_WANT_WRITE:
      return DoorOutcome::want_write;
    case SSL_ERROR_ZERO_RETURN:
      return DoorOutcome::end;
    case SSL_ERROR_SSL:
      return DoorOutcome::fatal;
    case SSL_ERROR_SYSCALL:
      return DoorOutcome::broken;
    default:
      return DoorOutcome::other;
  }
}

DoorOutcome outcome_of(const SSL* ssl, int result, const DoorEntry& before, const DoorEntry& after) noexcept {
  if (result > 0) {
    return DoorOutcome::done;
  }
  if (before.number != 0 && after == before) {
    return outcome_without_queue(ssl);
  }
  return answer_of(behind_SSL_get_error(ssl, result));
}

}  // namespace rig::openssl::door

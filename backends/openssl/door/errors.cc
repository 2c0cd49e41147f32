// The functions of OpenSSL that ask about a failure, and that change the thread's error queue.
#include <dlfcn.h>

#include <cstdio>
#include <cstring>
#include <type_traits>

#include "backends/openssl/door/behind.h"

namespace {

using rig::door_observer;
using rig::DoorOutcome;
using rig::DoorPassage;
using rig::DoorVerb;
using namespace rig::openssl::door;

// pass_queue leads a call that concerns the queue alone through the door.
template <class Real>
auto pass_queue(DoorVerb verb, const char* function, const void* caller, Real&& real) {
  DoorPassage passage({.verb = verb, .function = function, .caller = caller});
  if (!passage.announced()) {
    return real();
  }
  passage.call().before = latest();
  passage.enter();
  if constexpr (std::is_void_v<decltype(real())>) {
    real();
    passage.leave({.after = latest()});
  } else {
    const auto result = real();
    passage.leave({.after = latest()});
    return result;
  }
}

// At the end of a process libcrypto cleans up by itself: it is called by libc, and that is nobody's mistake.
bool called_by_libc(const void* caller) {
  Dl_info info{};
  if (dladdr(caller, &info) == 0 || info.dli_fname == nullptr) {
    return false;
  }
  const char* const slash = std::strrchr(info.dli_fname, '/');
  return std::strncmp(slash != nullptr ? slash + 1 : info.dli_fname, "libc.so", 7) == 0;
}

}  // namespace

extern "C" {

int SSL_get_error(const SSL* ssl, int result) {
  if (door_observer() == nullptr) {
    return behind_SSL_get_error(ssl, result);
  }
  DoorPassage passage(
      {.verb = DoorVerb::classify, .function = "SSL_get_error", .session = ssl, .caller = __builtin_return_address(0)});
  if (!passage.announced()) {
    return behind_SSL_get_error(ssl, result);
  }
  passage.call().before = latest();
  passage.enter();
  const int answer = behind_SSL_get_error(ssl, result);
  passage.leave({.outcome = answer_of(answer), .after = passage.call().before});
  return answer;
}

void ERR_clear_error() {
  if (door_observer() == nullptr) {
    return behind_ERR_clear_error();
  }
  pass_queue(DoorVerb::clear, "ERR_clear_error", __builtin_return_address(0), [] { behind_ERR_clear_error(); });
}

unsigned long ERR_get_error() {
  if (door_observer() == nullptr) {
    return behind_ERR_get_error();
  }
  return pass_queue(DoorVerb::take, "ERR_get_error", __builtin_return_address(0),
                    [] { return behind_ERR_get_error(); });
}

unsigned long ERR_get_error_all(const char** file, int* line, const char** function, const char** data, int* flags) {
  if (door_observer() == nullptr) {
    return behind_ERR_get_error_all(file, line, function, data, flags);
  }
  return pass_queue(DoorVerb::take, "ERR_get_error_all", __builtin_return_address(0),
                    [=] { return behind_ERR_get_error_all(file, line, function, data, flags); });
}

unsigned long ERR_get_error_line(const char** file, int* line) {
  if (door_observer() == nullptr) {
    return behind_ERR_get_error_line(file, line);
  }
  return pass_queue(DoorVerb::take, "ERR_get_error_line", __builtin_return_address(0),
                    [=] { return behind_ERR_get_error_line(file, line); });
}

unsigned long ERR_get_error_line_data(const char** file, int* line, const char** data, int* flags) {
  if (door_observer() == nullptr) {
    return behind_ERR_get_error_line_data(file, line, data, flags);
  }
  return pass_queue(DoorVerb::take, "ERR_get_error_line_data", __builtin_return_address(0),
                    [=] { return behind_ERR_get_error_line_data(file, line, data, flags); });
}

void ERR_print_errors(BIO* bio) {
  if (door_observer() == nullptr) {
    return behind_ERR_print_errors(bio);
  }
  pass_queue(DoorVerb::take, "ERR_print_errors", __builtin_return_address(0), [=] { behind_ERR_print_errors(bio); });
}

void ERR_print_errors_fp(FILE* file) {
  if (door_observer() == nullptr) {
    return behind_ERR_print_errors_fp(file);
  }
  pass_queue(DoorVerb::take, "ERR_print_errors_fp", __builtin_return_address(0),
             [=] { behind_ERR_print_errors_fp(file); });
}

void ERR_print_errors_cb(int (*callback)(const char* line, std::size_t bytes, void* user), void* user) {
  if (door_observer() == nullptr) {
    return behind_ERR_print_errors_cb(callback, user);
  }
  pass_queue(DoorVerb::take, "ERR_print_errors_cb", __builtin_return_address(0),
             [=] { behind_ERR_print_errors_cb(callback, user); });
}

// Whatever adds an entry begins here. What a session's own call adds is seen at its exit.
void ERR_new() {
  if (door_observer() == nullptr) {
    return behind_ERR_new();
  }
  pass_queue(DoorVerb::push, "ERR_new", __builtin_return_address(0), [] { behind_ERR_new(); });
}

void OPENSSL_cleanup() {
  const void* const caller = __builtin_return_address(0);
  if (door_observer() == nullptr || called_by_libc(caller)) {
    return behind_OPENSSL_cleanup();
  }
  DoorPassage passage({.verb = DoorVerb::deinit, .function = "OPENSSL_cleanup", .caller = caller});
  if (!passage.announced()) {
    return behind_OPENSSL_cleanup();
  }
  passage.enter();
  behind_OPENSSL_cleanup();
  passage.leave({});
}

}  // extern "C"

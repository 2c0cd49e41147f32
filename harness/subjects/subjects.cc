#include "harness/subjects/subjects.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstring>

namespace rig {
namespace {

std::expected<const rig_subject*, Error> load(const std::string& path) {
  void* const object = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (object == nullptr) {
    const char* const why = ::dlerror();
    return std::unexpected(Error(Code::refused_by_system, why != nullptr ? why : "the subject cannot be opened"));
  }
  using Entry = const rig_subject* (*)();
  const auto entry = reinterpret_cast<Entry>(::dlsym(object, "rig_subject_entry"));
  if (entry == nullptr) {
    return std::unexpected(Error(Code::unsupported, path + " exports no rig_subject_entry: it is not a subject"));
  }
  const rig_subject* const subject = entry();
  if (subject == nullptr || subject->abi != RIG_SUBJECT_ABI || subject->size < sizeof(rig_subject)) {
    return std::unexpected(Error(Code::unsupported, path + " was built for another version of subject.h"));
  }
  return subject;
}

}  // namespace

std::expected<const rig_subject*, Error> find_subject(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    return load(name);
  }
  std::string known;
  for (const rig_subject* subject : subjects()) {
    if (name == subject->name) {
      return subject;
    }
    known += known.empty() ? subject->name : std::string(", ") + subject->name;
  }
  return std::unexpected(Error(Code::invalid_argument, "there is no subject '" + name + "'; built in: " + known +
                                                           "; a path with a slash loads a shared object"));
}

rig_status to_abi(const Error& error, rig_error* abi) noexcept {
  const auto status = static_cast<rig_status>(static_cast<int>(error.code()) + 1);
  if (abi != nullptr) {
    abi->status = status;
    abi->number = error.number();
    const std::size_t bytes = std::min(error.detail().size(), sizeof(abi->detail) - 1);
    std::memcpy(abi->detail, error.detail().data(), bytes);
    abi->detail[bytes] = '\0';
  }
  return status;
}

static_assert(static_cast<int>(Code::closed) + 1 == RIG_CLOSED);
static_assert(static_cast<int>(Code::verification_failed) + 1 == RIG_VERIFICATION_FAILED);
static_assert(static_cast<int>(Code::would_block) + 1 == RIG_WOULD_BLOCK);
static_assert(static_cast<int>(Code::internal) + 1 == RIG_INTERNAL);

Error from_abi(const rig_error& abi) noexcept {
  if (abi.status <= RIG_OK || abi.status > RIG_INTERNAL) {
    return Error(Code::internal, "the subject reported a status that subject.h does not know", abi.status);
  }
  const std::size_t bytes = ::strnlen(abi.detail, sizeof(abi.detail));
  return Error(static_cast<Code>(abi.status - 1), {abi.detail, bytes}, abi.number);
}

}  // namespace rig

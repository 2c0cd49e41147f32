#include "harness/subjects/subjects.h"

#include <dlfcn.h>

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

}  // namespace rig

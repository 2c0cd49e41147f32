// Subjects: the socket layers that are built in, and those that are loaded from a shared object.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "harness/base/error.h"
#include "harness/subjects/subject.h"

namespace rig {

// subjects lists the built-in ones. Defined by the build from subject() lines.
std::span<const rig_subject* const> subjects();

// find_subject is the built-in subject with that name, or, if `name` holds a slash, the one that the shared object
// exports (it stays loaded for the life of the process). Errors: invalid_argument (no such name; the sentence lists the
// known ones), refused_by_system (the object cannot be opened), unsupported (no rig_subject_entry, or another ABI).
std::expected<const rig_subject*, Error> find_subject(const std::string& name);

}  // namespace rig

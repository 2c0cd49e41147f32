// What a Selection means in this build.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "harness/cli/options.h"
#include "harness/subjects/subject.h"
#include "stress/suite.h"

namespace rig::cli {

// load_subject finds the subject with that name, or loads the shared object at that path. Refusals: an unknown name is
// wrong usage, an object that cannot be used is something that is lacking.
std::expected<const rig_subject*, Refusal> load_subject(const std::string& name);

// select_cases lists the cases that are meant, at least one. In each cell the subject is the name or path that was
// asked for. Refusals: an unknown suite, a library that the subject does not have, nothing left.
std::expected<std::vector<Case>, Refusal> select_cases(const Selection& selection, const rig_subject& subject);

// words_of splits at blanks.
std::vector<std::string> words_of(const char* text);

}  // namespace rig::cli

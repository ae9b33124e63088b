// Why a backup or a restore came to nothing: words for people, and a kind that becomes the exit status.
#pragma once

#include <stdexcept>
#include <string>

namespace fb::backup {

enum class fault {
    not_done = 1,   // the disk, permissions, a file that is missing
    unusable = 3,   // the file: damaged, cut, not a backup, of a newer program
    passphrase = 4, // wrong, or none given for an encrypted file
    directory = 5,  // in use, or not empty
};

class failure : public std::runtime_error {
  public:
    failure(fault why, const std::string& words)
        : std::runtime_error(words)
        , why_(why) {}
    fault why() const noexcept { return why_; }

  private:
    fault why_;
};

} // namespace fb::backup

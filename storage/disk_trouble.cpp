#include "storage/disk_trouble.hpp"

#include <cerrno>
#include <system_error>

namespace fb::storage {
namespace {

const char* what_to_do(int code) noexcept {
    switch (code) {
    case ENOSPC: return "free some space on this disk";
    case EDQUOT: return "this user's quota is used up: free some space, or raise it";
    case EROFS: return "the kernel's log says why it is read-only; repair the file system and mount it again";
    case EIO: return "the disk fails: look at the kernel's log, save the data, replace it";
    case EACCES:
    case EPERM: return "give it to the user this program runs as";
    case EFBIG: return "raise the limit on the size of files";
    case EMFILE:
    case ENFILE: return "raise the limit of open files";
    default: return "check free space, permissions and the disk";
    }
}

} // namespace

std::string words_of_disk_error(int code) {
    return std::generic_category().message(code) + " (" + what_to_do(code) + ")";
}

} // namespace fb::storage

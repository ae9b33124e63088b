#include "broker/app/secret_input.hpp"

#include <iostream>
#include <stdexcept>
#include <termios.h>
#include <unistd.h>

namespace fb::app {
namespace {

/// Typed characters do not show while it lives.
class hidden_typing {
  public:
    hidden_typing() {
        ::tcgetattr(STDIN_FILENO, &before_);
        termios hidden = before_;
        hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    }
    ~hidden_typing() { ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_); }

  private:
    termios before_{};
};

std::string line_after(const char* question) {
    if (question != nullptr) std::cerr << question << std::flush;
    std::string line;
    if (!std::getline(std::cin, line)) throw std::runtime_error("no password came on standard input");
    if (question != nullptr) std::cerr << '\n';
    return line;
}

} // namespace

std::string ask_secret(const char* question, bool once) {
    std::string secret;
    if (::isatty(STDIN_FILENO) == 1) {
        const hidden_typing hidden;
        secret = line_after(question);
        if (!once && line_after("The same again: ") != secret) throw std::runtime_error("the two are not the same");
    } else {
        secret = line_after(nullptr);
    }
    if (secret.empty()) throw std::runtime_error("an empty one is none");
    return secret;
}

} // namespace fb::app

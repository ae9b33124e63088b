#include "http_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include <doctest/doctest.h>
#include <openssl/ssl.h>
#include <rapidjson/document.h>

namespace fb::test {

std::string http_answer::header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
}

std::string http_answer::problem() const {
    CHECK(header("content-type") == "application/problem+json");
    rapidjson::Document document;
    document.Parse(body);
    REQUIRE(!document.HasParseError());
    REQUIRE(document.IsObject());
    CHECK(document["status"].GetInt() == status);
    CHECK(document["title"].IsString());
    CHECK(document["type"].IsString());
    CHECK(document["detail"].GetStringLength() > 0);
    return document["reason"].GetString();
}

http_client::http_client(std::uint16_t port, std::optional<tls_files> tls) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval patience{20, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
    if (!tls) return;
    context_ = SSL_CTX_new(TLS_client_method());
    REQUIRE(SSL_CTX_load_verify_locations(context_, tls->ca.c_str(), nullptr) == 1);
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
    if (!tls->certificate.empty()) {
        REQUIRE(SSL_CTX_use_certificate_file(context_, tls->certificate.c_str(), SSL_FILETYPE_PEM) == 1);
        REQUIRE(SSL_CTX_use_PrivateKey_file(context_, tls->key.c_str(), SSL_FILETYPE_PEM) == 1);
    }
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, fd_);
    REQUIRE(SSL_connect(ssl_) == 1);
}

http_client::~http_client() {
    close();
    SSL_free(ssl_);
    SSL_CTX_free(context_);
}

void http_client::close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
}

bool http_client::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const auto sent = ssl_ ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                               : static_cast<int>(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

bool http_client::read_more() {
    char block[16384];
    const auto got = ssl_ ? SSL_read(ssl_, block, sizeof block) : static_cast<int>(::recv(fd_, block, sizeof block, 0));
    if (got <= 0) return false;
    buffer_.append(block, static_cast<std::size_t>(got));
    return true;
}

bool http_client::at_end() { return buffer_.empty() && !read_more(); }

std::string http_client::receive_until(std::string_view end) {
    auto found = buffer_.find(end);
    while (found == std::string::npos && read_more()) found = buffer_.find(end);
    const auto size = found == std::string::npos ? buffer_.size() : found + end.size();
    auto text = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return text;
}

http_answer http_client::receive(bool head) {
    http_answer answer;
    auto rest = receive_until("\r\n\r\n");
    if (!rest.starts_with("HTTP/1.1 ") || !rest.ends_with("\r\n\r\n")) return answer;
    answer.status = std::stoi(rest.substr(9, 3));
    if (answer.status == 100) return answer;
    rest.erase(0, rest.find("\r\n") + 2);
    while (rest != "\r\n") {
        const auto line = rest.substr(0, rest.find("\r\n"));
        auto name = line.substr(0, line.find(':'));
        std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
        CHECK(!answer.headers.contains(name));
        answer.headers[name] = line.substr(line.find(':') + 2);
        rest.erase(0, line.size() + 2);
    }
    if (head || answer.status == 304 || answer.status == 204) return answer;
    const auto length = answer.header("content-length");
    const auto wanted = length.empty() ? std::string::npos : std::stoul(length);
    while (buffer_.size() < wanted && read_more()) {
    }
    answer.body = buffer_.substr(0, wanted);
    buffer_.erase(0, answer.body.size());
    return answer;
}

std::string http_request::text() const {
    auto out = method + " " + target + " HTTP/1.1\r\n";
    if (!headers.contains("Host")) out += "Host: gateway\r\n";
    for (const auto& [name, value] : headers) out += name + ": " + value + "\r\n";
    if (body && !headers.contains("Content-Length") && !headers.contains("Transfer-Encoding"))
        out += "Content-Length: " + std::to_string(body->size()) + "\r\n";
    return out + "\r\n" + body.value_or("");
}

} // namespace fb::test

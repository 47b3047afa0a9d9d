#include "services/authenticator.h"

#include <set>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "core/reasons.h"
#include "crypto/certificate_authority.h"
#include "crypto/digest.h"
#include "tests/fakes/fake_kubernetes_client.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/jwt_issuer.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace latchkey {
namespace {

using kubernetes::TokenReview;
using latchkey_testing::Base64Url;
using latchkey_testing::FakeClock;
using latchkey_testing::FakeKubernetesClient;
using latchkey_testing::IsOk;
using latchkey_testing::JwkSetOf;
using latchkey_testing::JwtKey;
using latchkey_testing::ReasonIs;
using latchkey_testing::SignJwt;
using latchkey_testing::StatusIs;
using latchkey_testing::TempDir;
using latchkey_testing::Verb;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kCi[] = "https://ci.example";

class AuthenticatorTest : public ::testing::Test {
 protected:
  AuthenticatorTest() {
    std::vector<std::unique_ptr<JwtVerifier>> issuers;
    issuers.push_back(std::make_unique<JwtVerifier>(
        JwtRules{.name = "ci", .issuer = kCi, .audience = "latchkey"},
        JwksSource::OfFile(
            dir_.Write("ci", JwkSetOf({rsa_.Jwk(), ec_.Jwk(), ed_.Jwk()})),
            clock_)
            .value(),
        clock_));
    issuers.push_back(std::make_unique<JwtVerifier>(
        JwtRules{.name = "cloud", .issuer = "https://cloud", .audience = "lk"},
        JwksSource::OfFile(dir_.Write("cloud", JwkSetOf({cloud_.Jwk()})),
                           clock_)
            .value(),
        clock_));
    authenticator_ = std::make_unique<Authenticator>(
        std::make_unique<ServiceAccountVerifier>("latchkey", api_, clock_),
        std::move(issuers), clock_);
    api_.AnswerReview([this](google::protobuf::Message& object) {
      auto& review = dynamic_cast<TokenReview&>(object);
      EXPECT_THAT(review.spec().audiences(), ElementsAre("latchkey"));
      reviewed_ = review.spec().token();
      *review.mutable_status() = review_;
      return absl::OkStatus();
    });
    review_.set_authenticated(true);
    review_.add_audiences("latchkey");
    review_.mutable_user()->set_username("system:serviceaccount:team-a:scaler");
    review_.mutable_user()->add_groups("system:serviceaccounts");
    review_.mutable_user()->add_groups("system:serviceaccounts:team-a");
  }

  std::string Claims(const std::string& issuer,
                     const std::string& audience = "latchkey") const {
    return fmt::format(R"({{"iss":"{}","aud":"{}","sub":"job-1","exp":{}}})",
                       issuer, audience,
                       absl::ToUnixSeconds(clock_.Now()) + 600);
  }
  // As a ServiceAccount has it: its issuer is nobody that we know.
  std::string ServiceAccountToken(const std::string& more = "") const {
    std::string claims = Claims("https://kubernetes.default.svc");
    claims.insert(claims.size() - 1, more);
    return SignJwt(stranger_, claims);
  }
  static CallCredentials Bearer(const std::string& token) {
    return {.authorization = SecretString("Bearer " + token)};
  }
  absl::StatusOr<Identity> Ask(const std::string& token) {
    auto caller = authenticator_->Authenticate(Bearer(token));
    if (!caller.ok()) return caller.status();
    return std::move(caller->identity);
  }
  // A client certificate; TLS is not asked here.
  std::string Certificate(const std::string& name) const {
    return CertificateAuthority::Create("test", clock_.Now(),
                                        clock_.Now() + absl::Hours(48))
        ->Issue({.common_name = name,
                 .not_before = clock_.Now(),
                 .not_after = clock_.Now() + absl::Hours(1),
                 .client_auth = true})
        ->certificate_pem;
  }

  const JwtKey rsa_{"RS256", "rsa"};
  const JwtKey ec_{"ES256", "ec"};
  const JwtKey ed_{"EdDSA", "ed"};
  const JwtKey cloud_{"ES256", "cloud"};
  const JwtKey stranger_{"ES256", "ec"};
  const TempDir dir_;
  FakeClock clock_;
  FakeKubernetesClient api_{clock_};
  kubernetes::TokenReviewStatus review_;
  std::string reviewed_;
  std::unique_ptr<Authenticator> authenticator_;
};

TEST_F(AuthenticatorTest, ACertificateIsKnownAtOnce) {
  const auto known =
      authenticator_->Known({.certificate_pem = Certificate("x")});
  ASSERT_TRUE(known.has_value());
  ASSERT_THAT(*known, IsOk());
  EXPECT_EQ((*known)->identity.name, "cn:x");
}

TEST_F(AuthenticatorTest,
       ACertificateIsOverWhenItSaysThoughItsConnectionIsOpen) {
  const CallCredentials shown{.certificate_pem = Certificate("x")};
  EXPECT_EQ(authenticator_->Authenticate(shown)->expires,
            clock_.Now() + absl::Hours(1));
  clock_.Advance(absl::Hours(1) - absl::Seconds(1));
  EXPECT_THAT(*authenticator_->Known(shown), IsOk());
  clock_.Advance(absl::Seconds(1));
  EXPECT_THAT(*authenticator_->Known(shown),
              ReasonIs(reason::kUnauthenticated));
  EXPECT_THAT(authenticator_->Authenticate(shown),
              ReasonIs(reason::kUnauthenticated));
}

TEST_F(AuthenticatorTest, WhoBringsNothingIsNobody) {
  EXPECT_THAT(*authenticator_->Known({}), ReasonIs(reason::kUnauthenticated));
  EXPECT_THAT(authenticator_->Authenticate({}),
              ReasonIs(reason::kUnauthenticated));
}

TEST_F(AuthenticatorTest, ATokenDecidesAndABadOneIsNotExcusedByACertificate) {
  CallCredentials both = Bearer(SignJwt(ed_, Claims(kCi)));
  both.certificate_pem = Certificate("x");
  EXPECT_EQ(authenticator_->Authenticate(both)->identity.name, "jwt:ci:job-1");
  both.authorization = SecretString("Bearer nonsense");
  EXPECT_THAT(authenticator_->Authenticate(both),
              ReasonIs(reason::kUnauthenticated));
  both.authorization = SecretString("");
  EXPECT_THAT(*authenticator_->Known(both), ReasonIs(reason::kUnauthenticated));
}

TEST_F(AuthenticatorTest, TheSchemeIsBearerInAnyCase) {
  const std::string token = SignJwt(ed_, Claims(kCi));
  for (const char* scheme : {"Bearer ", "bearer ", "BEARER "}) {
    EXPECT_THAT(authenticator_->Authenticate(
                    {.authorization = SecretString(scheme + token)}),
                IsOk())
        << scheme;
  }
  for (const std::string& value :
       {token, "Basic " + token, "Bearer" + token, "Bearer\t" + token,
        std::string("Bearer"), std::string("Bearer "), "Bearer  " + token,
        "Bearer " + token + " ", "Bearer " + token + ", Bearer " + token,
        "Bearer " + std::string(8192, 'a')}) {
    const auto known =
        authenticator_->Known({.authorization = SecretString(value)});
    ASSERT_TRUE(known.has_value()) << value;
    EXPECT_THAT(*known, ReasonIs(reason::kUnauthenticated)) << value;
  }
}

TEST_F(AuthenticatorTest, AJwtIsKnownOnceItWasVerified) {
  const std::string token = SignJwt(rsa_, Claims(kCi));
  EXPECT_EQ(authenticator_->Known(Bearer(token)), std::nullopt);
  EXPECT_EQ(Ask(token)->name, "jwt:ci:job-1");
  EXPECT_EQ((*authenticator_->Known(Bearer(token)))->identity.name,
            "jwt:ci:job-1");
  clock_.Advance(absl::Seconds(60));
  EXPECT_EQ(authenticator_->Known(Bearer(token)), std::nullopt);
}

TEST_F(AuthenticatorTest, EachIssuerHasItsOwnKeysAndAudience) {
  EXPECT_EQ(Ask(SignJwt(ec_, Claims(kCi)))->name, "jwt:ci:job-1");
  EXPECT_EQ(Ask(SignJwt(cloud_, Claims("https://cloud", "lk")))->name,
            "jwt:cloud:job-1");
  for (const std::string& token :
       {SignJwt(cloud_, Claims(kCi)), SignJwt(ec_, Claims("https://cloud")),
        SignJwt(ec_, Claims("https://cloud", "lk")),
        SignJwt(ec_, Claims(kCi, "lk")),
        SignJwt(cloud_, Claims("https://cloud", "latchkey"))}) {
    EXPECT_THAT(Ask(token), ReasonIs(reason::kUnauthenticated));
  }
  EXPECT_EQ(api_.Calls(Verb::kCreate), 0)
      << "a configured issuer's tokens are nobody else's business";
}

TEST_F(AuthenticatorTest, HostileTokensAreRefused) {
  const std::string claims = Claims(kCi);
  const std::string good = SignJwt(ec_, claims);
  const size_t dot = good.rfind('.');
  const std::string body = Base64Url(claims);
  // Signed by nobody, under this header.
  const auto unsigned_as = [&](const std::string& header) {
    return Base64Url(header) + "." + body + ".";
  };
  const std::string embedded =
      fmt::format(R"({{"alg":"ES256","kid":"ec","jwk":{}}})", stranger_.Jwk());
  std::string other_claims = claims;
  other_claims.replace(other_claims.find("job-1"), 5, "admin");
  const std::string hmac_input =
      Base64Url(R"({"alg":"HS256","kid":"rsa"})") + "." + body;
  const std::string confused =
      hmac_input + "." + Base64Url(HmacSha256(rsa_.PublicPem(), hmac_input));
  struct Case {
    const char* name;
    std::string token;
  };
  const Case cases[] = {
      {"no algorithm", unsigned_as(R"({"alg":"none"})")},
      {"no algorithm, with a key", unsigned_as(R"({"alg":"none","kid":"ec"})")},
      {"No Algorithm", unsigned_as(R"({"alg":"NoNe","kid":"ec"})")},
      {"an empty algorithm", unsigned_as(R"({"alg":"","kid":"ec"})")},
      {"no signature", good.substr(0, dot + 1)},
      {"no third part", good.substr(0, dot)},
      {"a signature of zeros", good.substr(0, dot + 1) + std::string(86, 'A')},
      {"half a signature", good.substr(0, good.size() - 43)},
      {"another's signature",
       good.substr(0, dot) + good.substr(0, dot).substr(good.find('.'))},
      {"other claims under the same signature",
       good.substr(0, good.find('.') + 1) + Base64Url(other_claims) +
           good.substr(dot)},
      {"HMAC with the public key", confused},
      {"a stranger's key under our name", SignJwt(stranger_, claims)},
      {"a key that it brings along", SignJwt(stranger_, embedded, claims)},
      {"a key that it points to",
       SignJwt(stranger_,
               R"({"alg":"ES256","kid":"ec","jku":"https://evil.example"})",
               claims)},
      {"a certificate that it brings along",
       SignJwt(stranger_, R"({"alg":"ES256","kid":"ec","x5c":["AA"]})",
               claims)},
      {"a path for a key id",
       SignJwt(stranger_, R"({"alg":"ES256","kid":"../../dev/null"})", claims)},
      {"RSA under the name of an EC key",
       SignJwt(rsa_, R"({"alg":"RS256","kid":"ec"})", claims)},
      {"an EC key that says it is RSA",
       SignJwt(ec_, R"({"alg":"RS256","kid":"ec"})", claims)},
      {"an Ed25519 key that says it is EC",
       SignJwt(ed_, R"({"alg":"ES256","kid":"ed"})", claims)},
      {"PSS with an RS256 key",
       SignJwt(rsa_, R"({"alg":"PS256","kid":"rsa"})", claims)},
      {"a critical extension",
       SignJwt(ec_, R"({"alg":"ES256","kid":"ec","crit":["x"],"x":1})",
               claims)},
      {"two algorithms",
       SignJwt(ec_, R"({"alg":"ES256","alg":"ES256","kid":"ec"})", claims)},
      {"a type that is for something else",
       SignJwt(ec_, R"({"alg":"ES256","kid":"ec","typ":"dpop+jwt"})", claims)},
      {"a JWE", good + ".AA.AA"},
      {"JSON form", R"({"payload":"e30","signatures":[]})"},
      {"padding", good + "="},
      {"bits that belong to no byte", good.substr(0, good.size() - 1) + "B"},
      {"claims that are no JSON", SignJwt(ec_, "claims")},
      {"claims that are a list", SignJwt(ec_, "[" + claims + "]")},
      {"claims twice", SignJwt(ec_, claims.substr(0, claims.size() - 1) +
                                        R"(,"sub":"admin"})")},
      {"claims nested deep",
       SignJwt(ec_, claims.substr(0, claims.size() - 1) + R"(,"a":)" +
                        std::string(1500, '[') + std::string(1500, ']') + "}")},
      {"two issuers", SignJwt(ec_, claims.substr(0, claims.size() - 1) +
                                       R"(,"iss":"https://cloud"})")},
      {"an issuer that is none",
       SignJwt(ec_, R"({"iss":7,"aud":"x","sub":"a","exp":9999999999})")},
      {"no claims", SignJwt(ec_, "{}")},
  };
  std::set<std::string> details;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const auto identity = Ask(c.token);
    EXPECT_THAT(identity, ReasonIs(reason::kUnauthenticated));
    EXPECT_THAT(std::string(identity.status().message()),
                Not(HasSubstr("admin")));
    details.insert(std::string(identity.status().message()));
  }
  // A stranger cannot make them many, or long: the audit counts by them.
  EXPECT_LE(details.size(), 10U);
  for (const std::string& detail : details) EXPECT_LE(detail.size(), 100U);
  EXPECT_EQ(api_.Calls(Verb::kCreate), 0);
  EXPECT_THAT(Ask(good), IsOk()) << "what they were made of";
}

TEST_F(AuthenticatorTest, AServiceAccountIsWhoTheClusterSaysItIs) {
  const std::string token = ServiceAccountToken();
  EXPECT_EQ(authenticator_->Known(Bearer(token)), std::nullopt);
  const auto identity = Ask(token);
  ASSERT_THAT(identity, IsOk());
  EXPECT_EQ(reviewed_, token);
  EXPECT_EQ(identity->name, "sa:team-a/scaler");
  EXPECT_EQ(identity->kind, IdentityKind::kServiceAccount);
  EXPECT_THAT(identity->Values("service_account"),
              ElementsAre("team-a/scaler"));
  EXPECT_THAT(identity->Values("namespace"), ElementsAre("team-a"));
  EXPECT_THAT(
      identity->Values("group"),
      ElementsAre("system:serviceaccounts", "system:serviceaccounts:team-a"));
  for (int i = 0; i < 5; ++i) EXPECT_THAT(Ask(token), IsOk());
  EXPECT_EQ(api_.Calls(Verb::kCreate), 1) << "it is remembered";

  review_.set_authenticated(false);
  clock_.Advance(absl::Seconds(59));
  EXPECT_THAT(Ask(token), IsOk());
  clock_.Advance(absl::Seconds(1));
  EXPECT_THAT(Ask(token), ReasonIs(reason::kUnauthenticated));
}

TEST_F(AuthenticatorTest, AnApiServerThatIgnoresAudiencesLetsNobodyThrough) {
  review_.clear_audiences();
  EXPECT_THAT(Ask(ServiceAccountToken(R"(,"n":1)")),
              ReasonIs(reason::kUnauthenticated));
  review_.add_audiences("https://kubernetes.default.svc");
  EXPECT_THAT(Ask(ServiceAccountToken(R"(,"n":2)")),
              ReasonIs(reason::kUnauthenticated));
}

TEST_F(AuthenticatorTest, OnlyServiceAccountsAreServiceAccounts) {
  int number = 0;
  for (const char* user :
       {"admin", "system:node:worker-1",
        "system:serviceaccount:", "system:serviceaccount:a",
        "system:serviceaccount:a:", "system:serviceaccount::b",
        "system:serviceaccount:a:b:c", "system:serviceaccount:a:b c",
        "system:serviceaccount:a/b:c", "system:serviceaccount:a:b/c",
        "xsystem:serviceaccount:a:b", "system:bootstrap:abc123", ""}) {
    SCOPED_TRACE(user);
    review_.mutable_user()->set_username(user);
    EXPECT_THAT(Ask(ServiceAccountToken(fmt::format(R"(,"n":{})", ++number))),
                ReasonIs(reason::kUnauthenticated));
  }
}

TEST_F(AuthenticatorTest, TheClusterIsNotAskedWhereTheAnswerIsNo) {
  for (const std::string& claims :
       {std::string(R"({"aud":"latchkey"})"),
        std::string(R"({"aud":"latchkey","exp":1})"),
        Claims("https://kubernetes.default.svc", "other")}) {
    EXPECT_THAT(Ask(SignJwt(stranger_, claims)),
                ReasonIs(reason::kUnauthenticated));
  }
  EXPECT_THAT(Ask("abcdef.0123456789abcdef"),
              ReasonIs(reason::kUnauthenticated));
  EXPECT_EQ(api_.Calls(Verb::kCreate), 0);
}

TEST_F(AuthenticatorTest, AClusterThatDoesNotAnswerRefusesNobody) {
  const std::string token = ServiceAccountToken();
  for (const absl::Status& error :
       {absl::UnavailableError("x"), absl::UnauthenticatedError("x"),
        absl::PermissionDeniedError("x")}) {
    api_.FailNext(Verb::kCreate, 1, error);
    const auto identity = Ask(token);
    EXPECT_THAT(identity, StatusIs(error.code()));
    EXPECT_THAT(identity, ReasonIs(""));
  }
  EXPECT_THAT(Ask(token), IsOk());
}

TEST_F(AuthenticatorTest, WithoutServiceAccountsTheirTokensAreRefused) {
  Authenticator plain(nullptr, {}, clock_);
  EXPECT_THAT(plain.Authenticate(Bearer(ServiceAccountToken())),
              ReasonIs(reason::kUnauthenticated));
  EXPECT_THAT(plain.Authenticate({.certificate_pem = Certificate("x")}),
              IsOk());
}

}  // namespace
}  // namespace latchkey

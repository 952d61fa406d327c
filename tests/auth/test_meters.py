"""What the authority counts of requests."""

from contextlib import suppress

from lateen.auth import requests
from lateen.auth.attestation import Evidence
from lateen.errors import LateenError
from tests.auth.authorities import KEY, RATINGS, REVIEWS, issuer


def test_every_request_is_counted_by_what_became_of_it() -> None:
    running = issuer()
    good = requests.certificate_request(KEY)
    foreign = requests.certificate_request(KEY, RATINGS.identity)
    for evidence, csr in (
        (Evidence(started=REVIEWS.subject), good),
        (Evidence(token="nobody's"), good),
        (Evidence(started=REVIEWS.subject), b"rubbish"),
        (Evidence(started=REVIEWS.subject), foreign),
    ):
        with suppress(LateenError):
            running.issue(evidence, csr)
    assert [line for each in running.meters.instruments for line in each.family().lines] == [
        "citadel_server_csr_count 4",
        "citadel_server_authentication_failure_count 1",
        "citadel_server_csr_parsing_err_count 1",
        'citadel_server_csr_sign_err_count{error="NotPermitted"} 1',
        "citadel_server_success_cert_issuance_count 1",
    ]

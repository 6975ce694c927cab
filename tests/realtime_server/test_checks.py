"""The 40 checks that a local server is faithful to OpenAI's, and the tests that make them.

The checks are those of the protocol reference that this server was built from. Every event of every
test is judged besides (`judge.py`): strict types and recorded key sets, checks 20, 21 and 28.
"""

from __future__ import annotations

from helpers.named_tests import named_tests

CHECKS = {
    1: ("a raw offer and an ephemeral key make a call: 201",
        "an_ephemeral_key_makes_any_number_of_calls"),
    2: ("an offer and a session as multipart make one too",
        "a_call_with_the_api_key"),
    3: ("Location names the call", "a_call_with_the_api_key"),
    4: ("the body is SDP with CRLF", "a_call_with_the_api_key"),
    5: ("the answer is active in DTLS", "a_call_with_the_api_key"),
    6: ("opus keeps the offer's payload type", "a_call_with_the_api_key"),
    7: ("sendrecv; mids and the bundle are echoed", "a_call_with_the_api_key"),
    8: ("an offer without candidates connects",
        "an_offer_without_candidates_connects"),
    9: ("an offer without a data channel is answered, and steered by a sideband",
        "an_offer_without_a_channel_is_answered_aloud",
        "a_sideband_steers_a_call_without_a_channel"),
    10: ("a bad offer is 400 invalid_offer",
         "a_bad_offer_is_refused_in_openais_words"),
    11: ("a wrong or expired key is 401; a session outlives its key",
         "a_wrong_key_is_an_authentication_error",
         "an_expired_ephemeral_key_is_refused",
         "a_session_outlives_its_key"),
    12: ("one ephemeral key makes several calls",
         "an_ephemeral_key_makes_any_number_of_calls"),
    13: ("a secret shows the effective session",
         "a_client_secret_tells_its_effective_session"),
    14: ("its life is 10 to 7200 s", "a_bad_request_for_a_secret_is_refused"),
    15: ("the beta is gone", "the_beta_is_gone"),
    16: ("hanging up ends channel and media; twice is 404",
         "hanging_up_ends_channel_and_media", "hang_up_works_once"),
    17: ("session.created comes first and once",
         "the_session_is_the_first_thing_a_client_hears",
         "a_spoken_turn"),
    18: ("session.updated shows the whole session, the rest of it unchanged",
         "an_update_shows_the_whole_session",
         "an_update_leaves_its_siblings_as_they_were"),
    19: ("null and empty values clear", "null_and_empty_values_clear"),
    20: ("ids are unique, types are OpenAI's",
         "every_event_has_an_id_of_its_own", "broken_events_fail"),
    21: ("keys are those recorded", "broken_events_fail"),
    22: ("a spoken turn has the recorded order",
         "a_spoken_turn_has_the_recorded_order", "a_spoken_turn"),
    23: ("one id names the visitor's item",
         "one_id_names_the_visitors_item_throughout"),
    24: ("positions lie on the grid of 32 ms",
         "positions_are_multiples_of_a_hop_and_never_go_back"),
    25: ("a second of silence before shifts both",
         "a_second_more_of_silence_shifts_both_positions_by_it"),
    26: ("create_response false ends with the item",
         "with_create_response_off_a_turn_ends_with_its_item"),
    27: ("interrupt_response false lets the response complete",
         "with_interrupt_response_off_the_reply_goes_on_and_no_second_one_begins"),
    28: ("no audio in the events of a call", "broken_events_fail"),
    29: ("pieces of a transcript join to it",
         "the_pieces_of_a_transcript_join_to_it"),
    30: ("started comes with the first sound",
         "all_of_the_answer_is_played_between_started_and_stopped",
         "events_tell_the_truth_about_the_sound"),
    31: ("stopped comes with the last one",
         "all_of_the_answer_is_played_between_started_and_stopped",
         "events_tell_the_truth_about_the_sound"),
    32: ("conversation.item.done precedes response.output_item.done",
         "a_spoken_turn_has_the_recorded_order"),
    33: ("barge-in while generating",
         "barge_in_while_the_reply_is_generated",
         "events_tell_the_truth_about_the_sound"),
    34: ("barge-in after response.done",
         "barge_in_after_the_reply_was_generated",
         "barge_in_silences_the_answer"),
    35: ("a truncated item has no transcript",
         "barge_in_after_the_reply_was_generated",
         "what_the_client_truncates_is_forgotten"),
    36: ("cancel lets the buffer play, clear does not",
         "cancel_ends_the_generation_and_leaves_what_was_said_to_be_played",
         "cancel_and_clear_silence_the_call",
         "events_tell_the_truth_about_the_sound"),
    37: ("one response in the conversation, others beside it",
         "a_second_response_is_refused_with_the_clients_event_id",
         "a_response_outside_the_conversation_runs_beside_the_one_in_it"),
    38: ("function calls have the recorded order",
         "a_call_has_the_recorded_order", "what_it_returned_is_asked_about"),
    39: ("the voice is fixed once heard, and nothing of such an update applies",
         "the_voice_is_fixed_once_it_was_heard"),
    40: ("errors end nothing; expiry does",
         "what_is_wrong_is_an_error_event_and_the_call_goes_on",
         "a_session_that_expires_says_so_and_ends",
         "an_expired_session_is_closed_with_its_reason"),
}  # fmt: skip


def test_there_are_forty() -> None:
    assert sorted(CHECKS) == list(range(1, 41))


def test_each_is_made_by_tests_that_exist() -> None:
    made = {test for _, *tests in CHECKS.values() for test in tests}
    assert made - named_tests() == set()

"""The 40 checks that a local server is faithful to OpenAI's, and the tests that make them.

The checks are those of the protocol reference that this server was built from. Every event of every
test is judged besides (`judge.py`): strict types and recorded key sets, checks 20, 21 and 28.
"""

from __future__ import annotations

import ast
from pathlib import Path

CHECKS = {
    1: ("a raw offer and an ephemeral key make a call: 201",
        "http: an_ephemeral_key_makes_any_number_of_calls"),
    2: ("an offer and a session as multipart make one too",
        "http: a_call_with_the_api_key"),
    3: ("Location names the call", "http: a_call_with_the_api_key"),
    4: ("the body is SDP with CRLF", "http: a_call_with_the_api_key"),
    5: ("the answer is active in DTLS", "http: a_call_with_the_api_key"),
    6: ("opus keeps the offer's payload type", "http: a_call_with_the_api_key"),
    7: ("sendrecv; mids and the bundle are echoed", "http: a_call_with_the_api_key"),
    8: ("an offer without candidates connects",
        "live_calls: an_offer_without_candidates_connects"),
    9: ("an offer without a data channel is answered, and steered by a sideband",
        "live_calls: an_offer_without_a_channel_is_answered_aloud",
        "websocket: a_sideband_steers_a_call_without_a_channel"),
    10: ("a bad offer is 400 invalid_offer",
         "http: a_bad_offer_is_refused_in_openais_words"),
    11: ("a wrong or expired key is 401; a session outlives its key",
         "http: a_wrong_key_is_an_authentication_error",
         "http: an_expired_ephemeral_key_is_refused",
         "websocket: a_session_outlives_its_key"),
    12: ("one ephemeral key makes several calls",
         "http: an_ephemeral_key_makes_any_number_of_calls"),
    13: ("a secret shows the effective session",
         "http: a_client_secret_tells_its_effective_session"),
    14: ("its life is 10 to 7200 s", "http: a_bad_request_for_a_secret_is_refused"),
    15: ("the beta is gone", "http: the_beta_is_gone"),
    16: ("hanging up ends channel and media; twice is 404",
         "live_calls: hanging_up_ends_channel_and_media", "http: hang_up_works_once"),
    17: ("session.created comes first and once",
         "spoken_turns: the_session_is_the_first_thing_a_client_hears",
         "live_calls: a_spoken_turn"),
    18: ("session.updated shows the whole session, the rest of it unchanged",
         "client_events: an_update_shows_the_whole_session",
         "session: an_update_leaves_its_siblings_as_they_were"),
    19: ("null and empty values clear", "session: null_and_empty_values_clear"),
    20: ("ids are unique, types are OpenAI's",
         "spoken_turns: every_event_has_an_id_of_its_own", "judge: broken_events_fail"),
    21: ("keys are those recorded", "judge: broken_events_fail"),
    22: ("a spoken turn has the recorded order",
         "spoken_turns: a_spoken_turn_has_the_recorded_order", "live_calls: a_spoken_turn"),
    23: ("one id names the visitor's item",
         "spoken_turns: one_id_names_the_visitors_item_throughout"),
    24: ("positions lie on the grid of 32 ms",
         "turns: positions_are_multiples_of_a_hop_and_never_go_back"),
    25: ("a second of silence before shifts both",
         "turns: a_second_more_of_silence_shifts_both_positions_by_it"),
    26: ("create_response false ends with the item",
         "spoken_turns: with_create_response_off_a_turn_ends_with_its_item"),
    27: ("interrupt_response false lets the response complete",
         "spoken_turns: with_interrupt_response_off_the_reply_goes_on_and_no_second_one_begins"),
    28: ("no audio in the events of a call", "judge: broken_events_fail"),
    29: ("pieces of a transcript join to it",
         "spoken_turns: the_pieces_of_a_transcript_join_to_it"),
    30: ("started comes with the first sound",
         "spoken_turns: all_of_the_answer_is_played_between_started_and_stopped",
         "media_checks: events_tell_the_truth_about_the_sound"),
    31: ("stopped comes with the last one",
         "spoken_turns: all_of_the_answer_is_played_between_started_and_stopped",
         "media_checks: events_tell_the_truth_about_the_sound"),
    32: ("conversation.item.done precedes response.output_item.done",
         "spoken_turns: a_spoken_turn_has_the_recorded_order"),
    33: ("barge-in while generating",
         "spoken_turns: barge_in_while_the_reply_is_generated",
         "media_checks: events_tell_the_truth_about_the_sound"),
    34: ("barge-in after response.done",
         "spoken_turns: barge_in_after_the_reply_was_generated",
         "live_calls: barge_in_silences_the_answer"),
    35: ("a truncated item has no transcript",
         "spoken_turns: barge_in_after_the_reply_was_generated",
         "client_events: what_the_client_truncates_is_forgotten"),
    36: ("cancel lets the buffer play, clear does not",
         "client_events: cancel_ends_the_generation_and_leaves_what_was_said_to_be_played",
         "client_events: cancel_and_clear_silence_the_call",
         "media_checks: events_tell_the_truth_about_the_sound"),
    37: ("one response in the conversation, others beside it",
         "client_events: a_second_response_is_refused_with_the_clients_event_id",
         "client_events: a_response_outside_the_conversation_runs_beside_the_one_in_it"),
    38: ("function calls have the recorded order",
         "tools: a_call_has_the_recorded_order", "tools: what_it_returned_is_asked_about"),
    39: ("the voice is fixed once heard, and nothing of such an update applies",
         "client_events: the_voice_is_fixed_once_it_was_heard"),
    40: ("errors end nothing; expiry does",
         "client_events: what_is_wrong_is_an_error_event_and_the_call_goes_on",
         "live_calls: a_session_that_expires_says_so_and_ends",
         "websocket: an_expired_session_is_closed_with_its_reason"),
}  # fmt: skip


def test_there_are_forty() -> None:
    assert sorted(CHECKS) == list(range(1, 41))


def test_each_is_made_by_tests_that_exist() -> None:
    made = {test for _, *tests in CHECKS.values() for test in tests}
    exist = set()
    for module in {test.partition(": ")[0] for test in made}:
        source = Path(__file__).with_name(f"test_{module}.py").read_text(encoding="utf-8")
        exist |= {
            f"{module}: {node.name.removeprefix('test_')}"
            for node in ast.parse(source).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
    assert made - exist == set()

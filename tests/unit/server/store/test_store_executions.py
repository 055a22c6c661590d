from __future__ import annotations

import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from freeplay_like.core.template_messages import TemplateMessage
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.executions import LEASE, NotExecuted
from freeplay_like.server.store.providers import ConnectionDraft, ConnectionNotFound, NotConnected
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.test_cases import CaseDraft
from freeplay_like.server.store.test_suites import SuiteDraft, SuiteRunDraft
from freeplay_like.server.store.views import Batch, CaseContent, DatasetDraft, Incoming, Project
from support.clocks import FakeClock
from support.plain_records import a_record, an_unsettled

CONNECTION = ConnectionDraft(flavor="openai_chat", base_url="http://127.0.0.1:1/v1", secret="s" * 20, by="k1")

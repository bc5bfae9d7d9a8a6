"""Every object of `lf.a2a.v1` has the fields of the proto and no others, under their JSON names."""

from __future__ import annotations

import pytest

from codin import a2a

# Name of the object, then its fields; `*` is required. From the v1.0.1 proto, in its order.
PROTO = """
SendMessageConfiguration: acceptedOutputModes taskPushNotificationConfig historyLength returnImmediately
Task: *id contextId *status artifacts history metadata
TaskStatus: *state message timestamp
Part: text raw url data metadata filename mediaType
Message: *messageId contextId taskId *role *parts metadata extensions referenceTaskIds
Artifact: *artifactId name description *parts metadata extensions
TaskStatusUpdateEvent: *taskId *contextId *status metadata
TaskArtifactUpdateEvent: *taskId *contextId *artifact append lastChunk metadata
AuthenticationInfo: *scheme credentials
AgentInterface: *url *protocolBinding tenant *protocolVersion
AgentCard: *name *description *supportedInterfaces provider *version documentationUrl *capabilities securitySchemes \
securityRequirements *defaultInputModes *defaultOutputModes *skills signatures iconUrl
AgentProvider: *url *organization
AgentCapabilities: streaming pushNotifications extensions extendedAgentCard
AgentExtension: uri description required params
AgentSkill: *id *name *description *tags examples inputModes outputModes securityRequirements
AgentCardSignature: *protected *signature header
TaskPushNotificationConfig: tenant id taskId *url token authentication
StringList: list
SecurityRequirement: schemes
SecurityScheme: apiKeySecurityScheme httpAuthSecurityScheme oauth2SecurityScheme openIdConnectSecurityScheme \
mtlsSecurityScheme
APIKeySecurityScheme: description *location *name
HTTPAuthSecurityScheme: description *scheme bearerFormat
OAuth2SecurityScheme: description *flows oauth2MetadataUrl
OpenIdConnectSecurityScheme: description *openIdConnectUrl
MutualTlsSecurityScheme: description
OAuthFlows: authorizationCode clientCredentials implicit password deviceCode
AuthorizationCodeOAuthFlow: *authorizationUrl *tokenUrl refreshUrl *scopes pkceRequired
ClientCredentialsOAuthFlow: *tokenUrl refreshUrl *scopes
ImplicitOAuthFlow: authorizationUrl refreshUrl scopes
PasswordOAuthFlow: tokenUrl refreshUrl scopes
DeviceCodeOAuthFlow: *deviceAuthorizationUrl *tokenUrl refreshUrl *scopes
SendMessageRequest: tenant *message configuration metadata
GetTaskRequest: tenant *id historyLength
ListTasksRequest: tenant contextId status pageSize pageToken historyLength statusTimestampAfter includeArtifacts
ListTasksResponse: *tasks *nextPageToken *pageSize *totalSize
CancelTaskRequest: tenant *id metadata
GetTaskPushNotificationConfigRequest: tenant *taskId *id
DeleteTaskPushNotificationConfigRequest: tenant *taskId *id
SubscribeToTaskRequest: tenant *id
ListTaskPushNotificationConfigsRequest: tenant *taskId pageSize pageToken
GetExtendedAgentCardRequest: tenant
SendMessageResponse: task message
StreamResponse: task message statusUpdate artifactUpdate
ListTaskPushNotificationConfigsResponse: configs nextPageToken
"""
OBJECTS = {name: fields.split() for name, fields in (line.split(":") for line in PROTO.strip().splitlines())}

# A peer whose tasks have no context leaves it out of its events.
NOT_INSISTED_ON = {("TaskStatusUpdateEvent", "contextId"), ("TaskArtifactUpdateEvent", "contextId")}


def model_of(name: str) -> type[a2a.Model]:
    model: type[a2a.Model] = getattr(a2a, name)
    model.model_rebuild()  # older pydantic knows the aliases of a deferred class only then
    return model


@pytest.mark.requirement("DATA-FIELDS")
@pytest.mark.parametrize("name", OBJECTS)
def test_the_fields_are_the_protos(name: str) -> None:
    model = model_of(name)
    ours = {field.alias for field in model.model_fields.values()}
    assert ours == {field.removeprefix("*") for field in OBJECTS[name]}


@pytest.mark.requirement("DATA-REQUIRED-CHECKED")
@pytest.mark.parametrize("name", OBJECTS)
def test_what_the_proto_requires_is_required(name: str) -> None:
    model = model_of(name)
    ours = {field.alias for field in model.model_fields.values() if field.is_required()}
    required = {field[1:] for field in OBJECTS[name] if field.startswith("*")}
    assert ours == {field for field in required if (name, field) not in NOT_INSISTED_ON}


@pytest.mark.requirement("DATA-FIELDS")
def test_no_object_is_left_out() -> None:
    ours = {
        name
        for name in a2a.__all__
        if isinstance(getattr(a2a, name), type) and issubclass(getattr(a2a, name), a2a.Model)
    }
    assert ours - {"Model"} == set(OBJECTS)

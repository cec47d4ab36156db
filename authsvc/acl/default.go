package acl

// Default is the rule file the seed ships (§6.12): the dashboard may watch
// $SYS, the machine itself may do everything, others may subscribe neither to
// $SYS nor to the filter #, and what remains is allowed.
const Default = `%% Who may publish and subscribe: the first rule that matches decides.
%%
%% {allow | deny, all}.
%% {allow | deny, Who, subscribe | publish | pubsub, [Topic, ...]}.
%%
%% Who:   all, {user, "name"}, {client, "id"}, {ipaddr, "10.0.0.0/8"},
%%        {'and', [Who, ...]}, {'or', [Who, ...]}
%% Topic: "a/+/b", "a/#", "users/%u/#", "clients/%c", {eq, "#"}

{allow, {user, "dashboard"}, subscribe, ["$SYS/#"]}.

{allow, {ipaddr, "127.0.0.1"}, pubsub, ["$SYS/#", "#"]}.

{deny, all, subscribe, ["$SYS/#", {eq, "#"}]}.

{allow, all}.
`
